/** How many pods a Job needs now, which indexes, and when: parallelism, completions and back-off. */
import type { Job, Pod } from '../../../../machinery/api/types.ts';
import { podsToDelete } from '../pods/ranking.ts';
import {
  completionIndex,
  endOf,
  indexFailures,
  isIndexed,
  isPodFailed,
  isSuspended,
  replacesOnlyFailed,
} from './job-pods.ts';
import type { JobView } from './observe.ts';
import { failureVerdict } from './policies.ts';

const burst = 500;
const firstWaitMs = 10_000;
const longestWaitMs = 10 * 60_000;

export interface NewPod {
  index?: number;
  /** Of the index so far, with `backoffLimitPerIndex`. */
  failures?: number;
}

export interface JobPlan {
  remove: Pod[];
  create: NewPod[];
  /** Creations must wait so long after failures. */
  waitMs?: number;
}

export function planJob(job: Job, view: JobView, pods: Pod[], now = Date.now()): JobPlan {
  const { active, succeeded, terminating } = view;
  if (isSuspended(job)) return { remove: active.slice(0, burst), create: [] };
  const parallelism = job.spec?.parallelism ?? 1;
  const completions = job.spec?.completions;
  let wanted = parallelism;
  if (completions === undefined) wanted = succeeded > 0 ? active.length : parallelism;
  else wanted = Math.max(0, Math.min(parallelism, completions - succeeded - view.failedIndexes.size));
  const remove = removable(job, view, Math.max(0, active.length - wanted), now).slice(0, burst);
  if (remove.length > 0) return { remove, create: [] };
  const missing = Math.min(burst, wanted - active.length - (replacesOnlyFailed(job) ? terminating : 0));
  if (missing <= 0) return { remove, create: [] };
  if (job.spec?.backoffLimitPerIndex !== undefined) return perIndex(job, view, pods, missing, now);
  const waitMs = backoffMs(job, view, pods, now);
  if (waitMs > 0) return { remove, create: [], waitMs };
  if (!isIndexed(job)) return { remove, create: Array.from({ length: missing }, () => ({})) };
  return { remove, create: freeIndexes(job, view, pods, missing).map((index) => ({ index })) };
}

/** Duplicates and pods of unknown or finished indexes first, then by the usual ranking. */
function removable(job: Job, view: JobView, atLeast: number, now: number): Pod[] {
  const first: Pod[] = [];
  let rest = view.active;
  if (isIndexed(job)) {
    const kept = new Set<number>();
    rest = [];
    const ranked = podsToDelete(view.active, [], Math.max(0, view.active.length - 1), now);
    const ordered = [...view.active.filter((pod) => !ranked.includes(pod)), ...ranked.reverse()];
    for (const pod of ordered) {
      const index = completionIndex(pod, job);
      if (index === undefined || kept.has(index) || view.succeededIndexes.has(index) || view.failedIndexes.has(index))
        first.push(pod);
      else {
        kept.add(index);
        rest.push(pod);
      }
    }
  }
  const more = Math.max(0, atLeast - first.length);
  return more === 0 ? first : [...first, ...podsToDelete(rest, [], more, now)];
}

/** The lowest indexes that are neither done nor taken by a running pod. */
function freeIndexes(job: Job, view: JobView, pods: Pod[], count: number): number[] {
  const taken = new Set(view.active.map((pod) => completionIndex(pod, job)));
  if (replacesOnlyFailed(job))
    for (const pod of pods)
      if (pod.metadata?.deletionTimestamp && !isPodFailed(pod, job)) taken.add(completionIndex(pod, job));
  const free: number[] = [];
  for (let index = 0; index < (job.spec?.completions ?? 0) && free.length < count; index += 1)
    if (!taken.has(index) && !view.succeededIndexes.has(index) && !view.failedIndexes.has(index)) free.push(index);
  return free;
}

/** Failures since the last success double the wait. */
function backoffMs(job: Job, view: JobView, pods: Pod[], now: number): number {
  const lastSuccess = Math.max(0, ...pods.filter(({ status }) => status?.phase === 'Succeeded').map(endOf));
  const failures = pods.filter(
    (pod) => isPodFailed(pod, job) && endOf(pod) >= lastSuccess && failureVerdict(job, pod).action !== 'Ignore',
  );
  if (failures.length === 0 || view.failed === 0) return 0;
  return Math.max(0, Math.max(...failures.map(endOf)) + waitAfter(failures.length) - now);
}

const waitAfter = (failures: number): number => Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures - 1, 10));

/** With a limit per index, each index backs off on its own. */
function perIndex(job: Job, view: JobView, pods: Pod[], count: number, now: number): JobPlan {
  const create: NewPod[] = [];
  let soonest: number | undefined;
  const lastFailures = lastFailurePerIndex(job, pods);
  for (const index of freeIndexes(job, view, pods, job.spec?.completions ?? 0)) {
    if (create.length >= count) break;
    const last = lastFailures.get(index);
    if (!last) {
      create.push({ index, failures: 0 });
      continue;
    }
    const ignored = failureVerdict(job, last).action === 'Ignore';
    const failures = indexFailures(last) + (ignored ? 0 : 1);
    const wait = failures === 0 ? 0 : endOf(last) + waitAfter(failures) - now;
    if (wait <= 0) create.push({ index, failures });
    else soonest = Math.min(soonest ?? wait, wait);
  }
  return { remove: [], create, ...(soonest === undefined ? {} : { waitMs: soonest }) };
}

export function lastFailurePerIndex(job: Job, pods: Pod[]): Map<number, Pod> {
  const last = new Map<number, Pod>();
  for (const pod of pods) {
    const index = completionIndex(pod, job);
    if (index === undefined || !isPodFailed(pod, job)) continue;
    const known = last.get(index);
    if (
      !known ||
      indexFailures(pod) > indexFailures(known) ||
      (indexFailures(pod) === indexFailures(known) && endOf(pod) > endOf(known))
    )
      last.set(index, pod);
  }
  return last;
}

/** Failed pods that carry the failure count of an index that is not yet retried: their finalizer stays until it is. */
export function countCarriers(job: Job, view: JobView, pods: Pod[]): Set<string> {
  const carriers = new Set<string>();
  if (job.spec?.backoffLimitPerIndex === undefined || view.ending) return carriers;
  const taken = new Set(view.active.map((pod) => completionIndex(pod, job)));
  for (const [index, pod] of lastFailurePerIndex(job, pods))
    if (!taken.has(index) && !view.succeededIndexes.has(index) && !view.failedIndexes.has(index))
      carriers.add(pod.metadata?.uid ?? '');
  return carriers;
}
