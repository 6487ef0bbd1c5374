/** Which pods go first when a controller has too many. */
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Pod } from '../../../../machinery/api/types.ts';
import { isActive, isReady, readySince, restarts } from './state.ts';

const phaseOrder: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/** `controller.kubernetes.io/pod-deletion-cost`; 0 when absent or no 32-bit number. */
export function deletionCost({ metadata }: Pod): number {
  const text = metadata?.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? '';
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return Math.abs(cost) <= 2_147_483_647 ? cost : 0;
}

/**
 * The first `count` pods to delete: unscheduled, pending, not ready, cheap, crowded on their node, young (on a logarithmic
 * scale, so that it is no use to be a second older), often restarted.
 * @param related all pods of the same application: how many share a node
 */
export function podsToDelete(pods: Pod[], related: Pod[], count: number, now = Date.now()): Pod[] {
  if (count >= pods.length) return pods;
  const onNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node && isActive(pod)) onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const rank = (pod: Pod): number => onNode.get(pod.spec?.nodeName ?? '') ?? 0;
  return [...pods].sort((a, b) => compare(a, b, rank, now)).slice(0, count);
}

function compare(a: Pod, b: Pod, rank: (pod: Pod) => number, now: number): number {
  const scheduled = Number(Boolean(a.spec?.nodeName)) - Number(Boolean(b.spec?.nodeName));
  if (scheduled) return scheduled;
  const phase = (phaseOrder[a.status?.phase ?? ''] ?? 0) - (phaseOrder[b.status?.phase ?? ''] ?? 0);
  if (phase) return phase;
  const ready = Number(isReady(a)) - Number(isReady(b));
  if (ready) return ready;
  const cost = deletionCost(a) - deletionCost(b);
  if (cost) return cost;
  const crowd = rank(b) - rank(a);
  if (crowd) return crowd;
  if (isReady(a)) {
    const byReady = compareAge(readySince(a), readySince(b), a, b, now);
    if (byReady) return byReady;
  }
  const [left, right] = [restarts(a), restarts(b)];
  const restarted = right.regular - left.regular || right.sidecars - left.sidecars;
  if (restarted) return restarted;
  return compareAge(timeOf(a.metadata?.creationTimestamp), timeOf(b.metadata?.creationTimestamp), a, b, now);
}

/** Younger first by powers of two of the age, then by uid. An unknown time counts as the youngest. */
function compareAge(timeA: number, timeB: number, a: Pod, b: Pod, now: number): number {
  if (timeA === timeB) return 0;
  if (timeA === 0 || timeB === 0) return timeA === 0 ? -1 : 1;
  const bucket = (time: number) => (now > time ? Math.floor(Math.log2((now - time) * 1e6)) : -1);
  return bucket(timeA) - bucket(timeB) || ((a.metadata?.uid ?? '') < (b.metadata?.uid ?? '') ? -1 : 1);
}
