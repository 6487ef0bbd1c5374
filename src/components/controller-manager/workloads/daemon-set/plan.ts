/** Which daemon pods to create and delete: one per eligible node, replaced in a rolling update. */
import { scaledValue } from '../../../../machinery/api/int-or-string.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { DaemonSet, Node, Pod } from '../../../../machinery/api/types.ts';
import { isAvailable, isDeleting, isFinished, isReady } from '../pods/state.ts';
import { revisionHashLabel } from '../revisions/history.ts';
import { isUpdated, nodeNameOf, placementOn } from './placement.ts';

export interface DaemonPlan {
  createOn: string[];
  remove: Pod[];
}

export type PodsByNode = Map<string, Pod[]>;

export function podsByNode(pods: Pod[]): PodsByNode {
  const byNode: PodsByNode = new Map();
  for (const pod of pods) {
    const node = nodeNameOf(pod);
    if (node === undefined || (isFinished(pod) && isDeleting(pod))) continue;
    const list = byNode.get(node);
    if (list) list.push(pod);
    else byNode.set(node, [pod]);
  }
  return byNode;
}

/** Scheduled before not, then the oldest. */
export const byAge = (a: Pod, b: Pod): number =>
  Number(!a.spec?.nodeName) - Number(!b.spec?.nodeName) ||
  timeOf(a.metadata?.creationTimestamp) - timeOf(b.metadata?.creationTimestamp) ||
  ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1);

export const allowsSurge = ({ spec }: DaemonSet): boolean => {
  const surge = spec?.updateStrategy?.rollingUpdate?.maxSurge ?? 0;
  return spec?.updateStrategy?.type === 'RollingUpdate' && surge !== 0 && surge !== '0%';
};

/**
 * What to do about one-pod-per-node.
 * @param endedPod asked for each finished pod: whether it may be replaced now (failures back off)
 */
export function planPlacement(
  set: DaemonSet,
  nodes: Node[],
  byNode: PodsByNode,
  hash: string,
  endedPod: (pod: Pod, node: string) => boolean,
  now = Date.now(),
): DaemonPlan {
  const plan: DaemonPlan = { createOn: [], remove: [] };
  for (const node of nodes) {
    const name = node.metadata?.name ?? '';
    const pods = byNode.get(name);
    const { start, stay } = placementOn(node, set);
    if (start && !pods) plan.createOn.push(name);
    else if (stay && pods) {
      const running: Pod[] = [];
      for (const pod of pods) {
        if (isDeleting(pod)) continue;
        if (!isFinished(pod)) running.push(pod);
        else if (endedPod(pod, name)) plan.remove.push(pod);
      }
      running.sort(byAge);
      if (!allowsSurge(set)) plan.remove.push(...running.slice(1));
      else if (running.length === 0 && start) plan.createOn.push(name);
      else if (running.length > 1) plan.remove.push(...surplusOfSurge(set, running, hash, now));
    } else if (!stay && pods) plan.remove.push(...pods.filter((pod) => !isDeleting(pod)));
  }
  const known = new Set(nodes.map(({ metadata }) => metadata?.name));
  // Made for a node that has gone since: nothing will ever schedule these.
  for (const [name, pods] of byNode)
    if (!known.has(name)) plan.remove.push(...pods.filter((pod) => !pod.spec?.nodeName && !isDeleting(pod)));
  return plan;
}

/** Old and new may run side by side only while the new one is not yet available and the old one is ready. */
function surplusOfSurge(set: DaemonSet, running: Pod[], hash: string, now: number): Pod[] {
  const isNew = (pod: Pod) => pod.metadata?.labels?.[revisionHashLabel] === hash;
  const newest = running.find(isNew);
  const oldest = running.find((pod) => !isNew(pod));
  const surplus = running.filter((pod) => pod !== newest && pod !== oldest);
  if (newest && oldest && (!isReady(oldest) || isAvailable(newest, set.spec?.minReadySeconds, now)))
    surplus.push(oldest);
  return surplus;
}

/** The limits of a rolling update on so many nodes. */
export function rollingLimits(set: DaemonSet, desired: number): { surge: number; unavailable: number } {
  const { maxSurge = 0, maxUnavailable = 1 } = set.spec?.updateStrategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, desired, 'up');
  const unavailable = scaledValue(maxUnavailable, desired, 'up');
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** The next step of a rolling update. */
export function planRollout(
  set: DaemonSet,
  nodes: Node[],
  byNode: PodsByNode,
  hash: string,
  now = Date.now(),
): DaemonPlan {
  const desired = nodes.filter((node) => placementOn(node, set).start).length;
  const { surge, unavailable } = rollingLimits(set, desired);
  const available = (pod: Pod) => isAvailable(pod, set.spec?.minReadySeconds, now);
  const plan: DaemonPlan = { createOn: [], remove: [] };
  let busy = 0;
  const laterNodes: string[] = [];
  const laterPods: Pod[] = [];
  for (const [node, all] of byNode) {
    const pods = all.filter((pod) => !isDeleting(pod));
    const updated = pods.filter((pod) => isUpdated(pod, set, hash));
    const old = pods.filter((pod) => !isUpdated(pod, set, hash));
    const [newPod, oldPod] = [updated[0], old[0]];
    if (updated.length > 1 || old.length > 1) busy += 1;
    else if (surge > 0) {
      if (!oldPod) continue;
      if (newPod) {
        if (available(newPod)) plan.remove.push(oldPod);
        else busy += 1;
      } else if (available(oldPod)) laterNodes.push(node);
      else plan.createOn.push(node);
    } else if (newPod && !oldPod) busy += available(newPod) ? 0 : 1;
    else if (oldPod && !newPod) {
      if (available(oldPod)) laterPods.push(oldPod);
      else {
        // Unavailable anyway: replacing it costs nothing.
        plan.remove.push(oldPod);
        busy += 1;
      }
    } else busy += 1;
  }
  if (surge > 0) plan.createOn.push(...laterNodes.slice(0, Math.max(0, surge - busy)));
  else plan.remove.push(...laterPods.slice(0, Math.max(0, unavailable - busy)));
  return plan;
}

export type DaemonStatus = NonNullable<DaemonSet['status']>;

export function daemonStatus(
  set: DaemonSet,
  nodes: Node[],
  byNode: PodsByNode,
  hash: string,
  now = Date.now(),
): DaemonStatus {
  let [desired, current, misscheduled, ready, available, updated] = [0, 0, 0, 0, 0, 0];
  for (const node of nodes) {
    const pods = byNode.get(node.metadata?.name ?? '');
    if (!placementOn(node, set).start) {
      if (pods) misscheduled += 1;
      continue;
    }
    desired += 1;
    const pod = pods && [...pods].sort(byAge)[0];
    if (!pod) continue;
    current += 1;
    if (isReady(pod)) ready += 1;
    if (isAvailable(pod, set.spec?.minReadySeconds, now)) available += 1;
    if (isUpdated(pod, set, hash)) updated += 1;
  }
  const { conditions, collisionCount } = set.status ?? {};
  return {
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    desiredNumberScheduled: desired,
    numberReady: ready,
    ...(updated ? { updatedNumberScheduled: updated } : {}),
    ...(available ? { numberAvailable: available } : {}),
    ...(desired - available > 0 ? { numberUnavailable: desired - available } : {}),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions?.length ? { conditions } : {}),
  };
}
