/** Questions about a pod that all workload controllers ask. */
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Pod, PodCondition } from '../../../../machinery/api/types.ts';

export const isFinished = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';
export const isDeleting = ({ metadata }: Pod): boolean => Boolean(metadata?.deletionTimestamp);

/** Neither finished nor being deleted: counts as a replica. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isDeleting(pod);
/** Being deleted but not gone. */
export const isTerminating = (pod: Pod): boolean => !isFinished(pod) && isDeleting(pod);

export const podCondition = (pod: Pod, type: string): PodCondition | undefined =>
  pod.status?.conditions?.find((condition) => condition.type === type);

export const isReady = (pod: Pod): boolean => podCondition(pod, 'Ready')?.status === 'True';

/** When the pod became ready, in milliseconds since 1970; 0 when it is not or does not say. */
export const readySince = (pod: Pod): number => {
  const condition = podCondition(pod, 'Ready');
  return condition?.status === 'True' ? timeOf(condition.lastTransitionTime) : 0;
};

/** Ready for at least `minReadySeconds`. */
export function isAvailable(pod: Pod, minReadySeconds: number | undefined, now = Date.now()): boolean {
  if (!isReady(pod)) return false;
  if (!minReadySeconds) return true;
  const since = readySince(pod);
  return since > 0 && since + minReadySeconds * 1000 <= now;
}

/** Milliseconds until the first ready pod becomes available; undefined when none is waiting for that. */
export function nextAvailabilityMs(pods: Pod[], minReadySeconds: number | undefined, now = Date.now()) {
  if (!minReadySeconds) return undefined;
  let next: number | undefined;
  for (const pod of pods) {
    if (!isReady(pod) || isAvailable(pod, minReadySeconds, now)) continue;
    const left = readySince(pod) + minReadySeconds * 1000 - now;
    next = next === undefined ? left : Math.min(next, left);
  }
  return next;
}

/** Restarts of the pod's containers, sidecars included. */
export function restarts({ status, spec }: Pod): { regular: number; sidecars: number } {
  const sidecarNames = new Set(
    spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always').map(({ name }) => name),
  );
  let regular = 0;
  let sidecars = 0;
  for (const { restartCount } of status?.containerStatuses ?? []) regular = Math.max(regular, restartCount);
  for (const { name, restartCount } of status?.initContainerStatuses ?? [])
    if (sidecarNames.has(name)) sidecars = Math.max(sidecars, restartCount);
  return { regular, sidecars };
}
