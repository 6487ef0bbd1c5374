/** Where a Job stands: which of its pods count as what, and whether that ends it. */
import { findCondition } from '../../../../machinery/api/conditions.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Job, Pod } from '../../../../machinery/api/types.ts';
import { isActive, isReady, isTerminating } from '../pods/state.ts';
import { IndexSet } from './indexes.ts';
import { completionIndex, indexFailures, isIndexed, isPodFailed, isSuspended, isTracked } from './job-pods.ts';
import { failureVerdict, successMessage } from './policies.ts';

/** Why the Job ends; the condition is followed by Failed or Complete when no pod is left. */
export interface Ending {
  type: 'FailureTarget' | 'SuccessCriteriaMet';
  reason: string;
  message: string;
}

export interface JobView {
  active: Pod[];
  terminating: number;
  ready: number;
  succeeded: number;
  failed: number;
  /** Tracked pods that ended and are in no count yet. */
  newSucceeded: Pod[];
  newFailed: Pod[];
  succeededIndexes: IndexSet;
  failedIndexes: IndexSet;
  ending: Ending | undefined;
}

/** @param untracked uids of pods whose finalizer was removed although the cache does not show it yet */
export function observeJob(job: Job, pods: Pod[], untracked: ReadonlySet<string>, now = Date.now()): JobView {
  const { spec, status } = job;
  const indexed = isIndexed(job);
  const counted = new Set([
    ...(status?.uncountedTerminatedPods?.succeeded ?? []),
    ...(status?.uncountedTerminatedPods?.failed ?? []),
    ...untracked,
  ]);
  const isNew = (pod: Pod): boolean =>
    isTracked(pod) && !counted.has(pod.metadata?.uid ?? '') && (!indexed || completionIndex(pod, job) !== undefined);
  const newSucceeded = pods.filter((pod) => pod.status?.phase === 'Succeeded' && isNew(pod));
  const newFailed = pods.filter((pod) => isPodFailed(pod, job) && isNew(pod));
  const active = pods.filter(isActive);
  const indexesOf = (list: Pod[]): number[] => list.flatMap((pod) => completionIndex(pod, job) ?? []);
  const before = IndexSet.parse(status?.completedIndexes, spec?.completions ?? 0);
  const succeededIndexes = indexed ? before.with(indexesOf(newSucceeded)) : before;
  const failedIndexes = IndexSet.parse(status?.failedIndexes, spec?.completions ?? 0).with(
    indexesOf(newFailed.filter((pod) => failsIndex(job, pod))).filter((index) => !succeededIndexes.has(index)),
  );
  const countingFailures = newFailed.filter((pod) => failureVerdict(job, pod).action !== 'Ignore').length;
  const view = {
    active,
    terminating: pods.filter(isTerminating).length,
    ready: active.filter(isReady).length,
    succeeded: indexed
      ? succeededIndexes.size
      : (status?.succeeded ?? 0) + newSucceeded.length + (status?.uncountedTerminatedPods?.succeeded?.length ?? 0),
    failed: (status?.failed ?? 0) + countingFailures + (status?.uncountedTerminatedPods?.failed?.length ?? 0),
    newSucceeded,
    newFailed,
    succeededIndexes,
    failedIndexes,
  };
  return { ...view, ending: endingOf(job, pods, view, now) };
}

/** Whether this failure is the last that `backoffLimitPerIndex` allows its index. */
export function failsIndex(job: Job, pod: Pod): boolean {
  const limit = job.spec?.backoffLimitPerIndex;
  if (limit === undefined) return false;
  const { action } = failureVerdict(job, pod);
  if (action === 'FailIndex') return true;
  return action !== 'Ignore' && indexFailures(pod) >= limit;
}

type Counts = Omit<JobView, 'ending'>;

function endingOf(job: Job, pods: Pod[], view: Counts, now: number): Ending | undefined {
  const { spec, status } = job;
  for (const type of ['FailureTarget', 'SuccessCriteriaMet'] as const) {
    const decided = findCondition(status?.conditions, type);
    if (decided?.status === 'True') return { type, reason: decided.reason ?? '', message: decided.message ?? '' };
  }
  const failed = (reason: string, message: string): Ending => ({ type: 'FailureTarget', reason, message });
  for (const pod of pods) {
    if (!spec?.podFailurePolicy || !isPodFailed(pod, job)) continue;
    const { action, message = '' } = failureVerdict(job, pod);
    if (action === 'FailJob') return failed('PodFailurePolicy', message);
  }
  if (view.failed > (spec?.backoffLimit ?? 6) || restartedTooOften(job, pods))
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  const left = deadlineMs(job, now);
  if (left !== undefined && left <= 0)
    return failed('DeadlineExceeded', 'Job was active longer than specified deadline');
  if (isIndexed(job)) {
    const { failedIndexes, succeededIndexes } = view;
    if (spec?.maxFailedIndexes !== undefined && failedIndexes.size > spec.maxFailedIndexes)
      return failed('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
    if (failedIndexes.size > 0 && failedIndexes.size + succeededIndexes.size >= (spec?.completions ?? 0))
      return failed('FailedIndexes', 'Job has failed indexes');
    const message = successMessage(job, succeededIndexes);
    if (message) return { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message };
  }
  return undefined;
}

/** With restartPolicy OnFailure the pods stay; their containers' restarts are the failures. */
function restartedTooOften({ spec }: Job, pods: Pod[]): boolean {
  if (spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
      restarts += restartCount;
  }
  const limit = spec.backoffLimit ?? 6;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

/** Milliseconds until `activeDeadlineSeconds` is over; undefined when there is no such time. */
export function deadlineMs(job: Job, now = Date.now()): number | undefined {
  const seconds = job.spec?.activeDeadlineSeconds;
  if (seconds === undefined || !job.status?.startTime || isSuspended(job)) return undefined;
  return timeOf(job.status.startTime) + seconds * 1000 - now;
}

/** Enough pods have succeeded and none runs: what ends a Job without special policies. */
export function completionEnding(job: Job, succeeded: number, active: number): Ending | undefined {
  const completions = job.spec?.completions;
  const complete = active === 0 && (completions === undefined ? succeeded > 0 : succeeded >= completions);
  return complete
    ? { type: 'SuccessCriteriaMet', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    : undefined;
}
