/** A Job's status, written in two steps: pods that ended are noted first, then lose their finalizer, then are counted. */
import { findCondition } from '../../../../machinery/api/conditions.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Job, Pod } from '../../../../machinery/api/types.ts';
import { completionIndex, isIndexed, isPodFailed, isSuspended, isTracked } from './job-pods.ts';
import type { Ending, JobView } from './observe.ts';
import { failureVerdict } from './policies.ts';

export type JobStatus = NonNullable<Job['status']>;
type JobCondition = NonNullable<JobStatus['conditions']>[number];

const mostUncounted = 500;

export function jobCondition(
  type: string,
  status: string,
  reason: string,
  message: string,
  now = Date.now(),
): JobCondition {
  const time = formatTime(new Date(now));
  return { type, status, lastProbeTime: time, lastTransitionTime: time, reason, message };
}

/** With the condition in its place; the same list when its status is already that, or absent and to be False. */
export function ensureCondition(
  conditions: JobCondition[] | undefined,
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now = Date.now(),
): JobCondition[] {
  const list = conditions ?? [];
  const old = findCondition(list, type);
  if (old ? old.status === status && old.reason === reason : status === 'False') return list;
  const next = jobCondition(type, status, reason, message, now);
  return old ? list.map((condition) => (condition === old ? next : condition)) : [...list, next];
}

/** Omits zero counts and empty texts, as the API does. */
function compact(status: JobStatus): JobStatus {
  const { active, succeeded, failed, completedIndexes, ...rest } = status;
  return {
    ...rest,
    ...(active ? { active } : {}),
    ...(succeeded ? { succeeded } : {}),
    ...(failed ? { failed } : {}),
    ...(completedIndexes ? { completedIndexes } : {}),
  };
}

export interface Step {
  active: number;
  terminating: number;
  ending: Ending | undefined;
  /** Uids whose finalizer must stay. */
  carriers: ReadonlySet<string>;
  untracked: ReadonlySet<string>;
}

/** Pods that have been, or are now, noted in the status and can lose their finalizer. */
export function podsToRelease(job: Job, pods: Pod[], { ending, carriers, untracked }: Step): Pod[] {
  const all = ending !== undefined || Boolean(job.metadata?.deletionTimestamp);
  return pods
    .filter((pod) => {
      const uid = pod.metadata?.uid ?? '';
      if (!isTracked(pod) || untracked.has(uid)) return false;
      if (all) return true;
      if (carriers.has(uid)) return false;
      return pod.status?.phase === 'Succeeded' || isPodFailed(pod, job);
    })
    .slice(0, mostUncounted);
}

/** The first step: everything new is noted, nothing lost if this process ends here. */
export function notedStatus(job: Job, view: JobView, step: Step, released: Pod[], now = Date.now()): JobStatus {
  const old = job.status ?? {};
  const { succeeded = [], failed = [] } = old.uncountedTerminatedPods ?? {};
  const known = new Set([...succeeded, ...failed]);
  const indexed = isIndexed(job);
  const uncounted = { succeeded: [...succeeded], failed: [...failed] };
  const doneIndexes: number[] = [];
  for (const pod of released) {
    const uid = pod.metadata?.uid ?? '';
    if (known.has(uid)) continue;
    const index = completionIndex(pod, job);
    if (indexed && index === undefined) continue;
    if (pod.status?.phase === 'Succeeded') {
      // An index is counted by itself: its pod need not be remembered.
      if (indexed) doneIndexes.push(index ?? 0);
      else uncounted.succeeded.push(uid);
    } else if (isPodFailed(pod, job) || step.ending?.type === 'FailureTarget') {
      if (failureVerdict(job, pod).action !== 'Ignore') uncounted.failed.push(uid);
    }
  }
  const { ending } = step;
  const conditions = ending
    ? ensureCondition(old.conditions, ending.type, 'True', ending.reason, ending.message, now)
    : old.conditions;
  const start = old.startTime ?? (isSuspended(job) ? undefined : formatTime(new Date(now)));
  return compact({
    ...old,
    ...(start ? { startTime: start } : {}),
    ...(conditions?.length ? { conditions } : {}),
    active: step.active,
    ready: Math.min(view.ready, step.active),
    terminating: step.terminating,
    ...(indexed ? indexCounts(job, view, doneIndexes) : {}),
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length ? { succeeded: uncounted.succeeded } : {}),
      ...(uncounted.failed.length ? { failed: uncounted.failed } : {}),
    },
  });
}

function indexCounts(job: Job, view: JobView, done: number[]): JobStatus {
  const doneNow = new Set(done);
  const before = job.status?.completedIndexes;
  // Of the succeeded indexes only those whose pods are released now are written.
  const all = view.newSucceeded.every((pod) => doneNow.has(completionIndex(pod, job) ?? -1));
  return {
    ...(all
      ? { completedIndexes: String(view.succeededIndexes), succeeded: view.succeededIndexes.size }
      : { completedIndexes: before ?? '' }),
    ...(job.spec?.backoffLimitPerIndex === undefined ? {} : { failedIndexes: String(view.failedIndexes) }),
  };
}

/** The last step: pods without finalizer are counted; when all are, the Job can be over. */
export function countedJobStatus(
  noted: JobStatus,
  isStillTracked: (uid: string) => boolean,
  indexed: boolean,
  ending: Ending | undefined,
  now = Date.now(),
): JobStatus {
  const { succeeded = [], failed = [] } = noted.uncountedTerminatedPods ?? {};
  const left = { succeeded: succeeded.filter(isStillTracked), failed: failed.filter(isStillTracked) };
  const status = compact({
    ...noted,
    ...(indexed ? {} : { succeeded: (noted.succeeded ?? 0) + succeeded.length - left.succeeded.length }),
    failed: (noted.failed ?? 0) + failed.length - left.failed.length,
    uncountedTerminatedPods: {
      ...(left.succeeded.length ? { succeeded: left.succeeded } : {}),
      ...(left.failed.length ? { failed: left.failed } : {}),
    },
  });
  if (!ending || left.succeeded.length + left.failed.length + (status.active ?? 0) + (status.terminating ?? 0) > 0)
    return status;
  const type = ending.type === 'FailureTarget' ? 'Failed' : 'Complete';
  return {
    ...status,
    conditions: [...(status.conditions ?? []), jobCondition(type, 'True', ending.reason, ending.message, now)],
    ...(type === 'Complete' ? { completionTime: formatTime(new Date(now)) } : {}),
  };
}
