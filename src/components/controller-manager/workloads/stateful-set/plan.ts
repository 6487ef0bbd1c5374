/** The next steps of a StatefulSet: one ordinal after the other, or all at once; then the rolling update from the top. */
import { scaledValue } from '../../../../machinery/api/int-or-string.ts';
import type { ControllerRevision, Pod, StatefulSet } from '../../../../machinery/api/types.ts';
import { isAvailable, isFinished, isReady } from '../pods/state.ts';
import { revisionHashLabel } from '../revisions/history.ts';
import { firstOrdinal, hasIdentity, ordinalOf } from './identity.ts';

export type Step =
  | { action: 'create'; ordinal: number; revision: ControllerRevision }
  | { action: 'delete'; pod: Pod; reason: 'failed' | 'scaled down' | 'update' }
  | { action: 'correct'; pod: Pod; ordinal: number };

export interface Revisions {
  current: ControllerRevision;
  update: ControllerRevision;
}

export const isParallel = ({ spec }: StatefulSet): boolean => spec?.podManagementPolicy === 'Parallel';
const isTerminating = ({ metadata }: Pod): boolean => Boolean(metadata?.deletionTimestamp);
const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod);
export const revisionNameOf = ({ metadata }: Pod): string => metadata?.labels?.[revisionHashLabel] ?? '';
const replicasOf = ({ spec }: StatefulSet): number => spec?.replicas ?? 1;

const isAvailableIn = (set: StatefulSet, pod: Pod, now: number): boolean =>
  isRunningAndReady(pod) && isAvailable(pod, set.spec?.minReadySeconds, now);
const isHealthy = (set: StatefulSet, pod: Pod, now: number): boolean =>
  isAvailableIn(set, pod, now) && !isTerminating(pod);

/** Pods of ordinals below the partition keep the current revision. */
function revisionFor(set: StatefulSet, ordinal: number, { current, update }: Revisions): ControllerRevision {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return update;
  const kept = rollingUpdate ? (rollingUpdate.partition ?? 0) : (set.status?.currentReplicas ?? 0);
  return ordinal < firstOrdinal(set) + kept ? current : update;
}

/** What to do now. With OrderedReady at most one pod changes, and nothing while one is on its way. */
export function planStatefulSet(set: StatefulSet, pods: Pod[], revisions: Revisions, now = Date.now()): Step[] {
  if (set.metadata?.deletionTimestamp) return [];
  const start = firstOrdinal(set);
  const end = start + replicasOf(set);
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const condemned = pods
    .filter((pod) => ordinalOf(set, pod) >= 0 && (ordinalOf(set, pod) < start || ordinalOf(set, pod) >= end))
    .sort((a, b) => ordinalOf(set, b) - ordinalOf(set, a));
  const parallel = isParallel(set);
  const steps: Step[] = [];
  for (let ordinal = start; ordinal < end; ordinal += 1) {
    const pod = byOrdinal.get(ordinal);
    if (pod && isFinished(pod)) {
      if (!isTerminating(pod)) steps.push({ action: 'delete', pod, reason: 'failed' });
      if (!parallel) return steps;
      continue;
    }
    if (!pod) {
      steps.push({ action: 'create', ordinal, revision: revisionFor(set, ordinal, revisions) });
      if (!parallel) return steps;
      continue;
    }
    if (!parallel && (isTerminating(pod) || !isAvailableIn(set, pod, now))) return steps;
    if (!hasIdentity(set, pod)) steps.push({ action: 'correct', pod, ordinal });
  }
  const firstUnhealthy = [...byOrdinal.entries()]
    .filter(([ordinal, pod]) => ordinal >= 0 && !isHealthy(set, pod, now))
    .sort(([a], [b]) => a - b)[0]?.[1];
  for (const pod of condemned) {
    if (isTerminating(pod)) {
      if (!parallel) return steps;
      continue;
    }
    if (!parallel && !isAvailableIn(set, pod, now) && pod !== firstUnhealthy) return steps;
    steps.push({ action: 'delete', pod, reason: 'scaled down' });
    if (!parallel) return steps;
  }
  return steps.length > 0 && !parallel ? steps : [...steps, ...planUpdate(set, byOrdinal, revisions, now)];
}

/** From the highest ordinal down to the partition, as many at once as may be unavailable. */
function planUpdate(set: StatefulSet, byOrdinal: Map<number, Pod>, { update }: Revisions, now: number): Step[] {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return [];
  const start = firstOrdinal(set);
  const replicas = replicasOf(set);
  const most = Math.max(1, scaledValue(rollingUpdate?.maxUnavailable ?? 1, replicas, 'up'));
  const steps: Step[] = [];
  let unavailable = 0;
  for (let ordinal = start; ordinal < start + replicas; ordinal += 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod || !isHealthy(set, pod, now)) unavailable += 1;
  }
  const lowest = start + (rollingUpdate?.partition ?? 0);
  for (let ordinal = start + replicas - 1; ordinal >= lowest; ordinal -= 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) return steps;
    const healthy = isHealthy(set, pod, now);
    if (revisionNameOf(pod) !== update.metadata?.name && !isTerminating(pod)) {
      // One that is unavailable anyway costs nothing; with one at a time it is what the update waits for.
      if (healthy && unavailable >= most) return steps;
      steps.push({ action: 'delete', pod, reason: 'update' });
      if (healthy) unavailable += 1;
      if (most === 1) return steps;
    } else if (!healthy && most === 1) return steps;
  }
  return steps;
}

export type StatefulStatus = NonNullable<StatefulSet['status']>;

export function statefulStatus(
  set: StatefulSet,
  pods: Pod[],
  { current, update }: Revisions,
  collisionCount: number | undefined,
  now = Date.now(),
): StatefulStatus {
  const count = (test: (pod: Pod) => boolean): number => pods.filter(test).length;
  const replicas = count(({ status }) => Boolean(status?.phase));
  const ready = count(isRunningAndReady);
  const available = count((pod) => isAvailableIn(set, pod, now));
  const ofRevision = (revision: ControllerRevision) =>
    count(
      (pod) => Boolean(pod.status?.phase) && !isTerminating(pod) && revisionNameOf(pod) === revision.metadata?.name,
    );
  const updated = ofRevision(update);
  const desired = replicasOf(set);
  const isDone =
    set.spec?.updateStrategy?.type !== 'OnDelete' && updated === desired && ready === desired && replicas === desired;
  const currentReplicas = isDone ? updated : ofRevision(current);
  const { conditions } = set.status ?? {};
  return {
    ...(set.metadata?.generation ? { observedGeneration: set.metadata.generation } : {}),
    replicas,
    ...(ready ? { readyReplicas: ready } : {}),
    ...(currentReplicas ? { currentReplicas } : {}),
    ...(updated ? { updatedReplicas: updated } : {}),
    availableReplicas: available,
    currentRevision: (isDone ? update : current).metadata?.name ?? '',
    updateRevision: update.metadata?.name ?? '',
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions?.length ? { conditions } : {}),
  };
}
