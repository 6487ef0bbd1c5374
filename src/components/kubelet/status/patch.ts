/** The difference between the status that the API server has and the kubelet's, as a strategic merge patch of own fields only. */
import { stableJson } from '../../../machinery/api/hash.ts';
import type { Pod, PodCondition, PodStatus } from '../../../machinery/api/types.ts';
import { disruptionTarget, kubeletConditions } from './conditions.ts';

const ownFields = [
  'phase',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'reason',
  'message',
  'qosClass',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
  'observedGeneration',
] as const satisfies (keyof PodStatus)[];

/** undefined: nothing differs. */
export function statusPatch(current: Pod, wanted: PodStatus): Record<string, unknown> | undefined {
  const before = current.status ?? {};
  const patch: Record<string, unknown> = {};
  for (const field of ownFields) {
    if (stableJson(before[field]) === stableJson(wanted[field])) continue;
    if (wanted[field] === undefined) {
      // What the kubelet did not set it does not remove, except the reason of a phase that has passed.
      if (field === 'reason' || field === 'message') patch[field] = null;
      continue;
    }
    patch[field] = field === 'podIPs' ? mergeByIp(before.podIPs ?? [], wanted.podIPs ?? []) : wanted[field];
  }
  const conditions = changedConditions(before.conditions ?? [], wanted.conditions ?? []);
  if (conditions.length) {
    patch['conditions'] = conditions;
    patch['$setElementOrder/conditions'] = elementOrder(before.conditions ?? [], wanted.conditions ?? []);
  }
  return Object.keys(patch).length ? patch : undefined;
}

/** A condition's fields that went away must be named, as a merge would keep them. */
function changedConditions(before: PodCondition[], wanted: PodCondition[]): Record<string, unknown>[] {
  const changed: Record<string, unknown>[] = [];
  for (const condition of wanted) {
    const own =
      (kubeletConditions as readonly string[]).includes(condition.type) ||
      (condition.type === disruptionTarget && condition.reason === 'TerminationByKubelet');
    if (!own) continue;
    const old = before.find(({ type }) => type === condition.type);
    const { lastProbeTime: _never, ...known } = old ?? {};
    if (old && stableJson(known) === stableJson(condition)) continue;
    const gone = Object.keys(known).filter((field) => !(field in condition));
    changed.push({ ...condition, ...Object.fromEntries(gone.map((field) => [field, null])) });
  }
  return changed;
}

function elementOrder(before: PodCondition[], wanted: PodCondition[]): { type: string }[] {
  const types = new Set([...wanted, ...before].map(({ type }) => type));
  return [...types].map((type) => ({ type }));
}

/** podIPs merge by `ip`: old addresses are deleted by name. */
function mergeByIp(before: { ip: string }[], wanted: { ip: string }[]): Record<string, unknown>[] {
  const gone = before.filter(({ ip }) => !wanted.some((other) => other.ip === ip));
  return [...wanted, ...gone.map(({ ip }) => ({ $patch: 'delete', ip }))];
}
