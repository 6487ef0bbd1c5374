/** Taints, tolerations and which tolerates which. */
import type { Taint, Toleration } from './types.ts';

export const taintKeys = {
  notReady: 'node.kubernetes.io/not-ready',
  unreachable: 'node.kubernetes.io/unreachable',
  unschedulable: 'node.kubernetes.io/unschedulable',
  memoryPressure: 'node.kubernetes.io/memory-pressure',
  diskPressure: 'node.kubernetes.io/disk-pressure',
  pidPressure: 'node.kubernetes.io/pid-pressure',
  networkUnavailable: 'node.kubernetes.io/network-unavailable',
  outOfService: 'node.kubernetes.io/out-of-service',
  controlPlane: 'node-role.kubernetes.io/control-plane',
} as const;

export type TaintEffect = 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';

export function toleratesTaint(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  const taintValue = taint.value ?? '';
  switch (toleration.operator || 'Equal') {
    case 'Exists':
      return true;
    case 'Equal':
      return (toleration.key ?? '') !== '' && (toleration.value ?? '') === taintValue;
    case 'Lt':
    case 'Gt': {
      const integer = /^-?\d+$/;
      const wanted = toleration.value ?? '';
      if (!integer.test(wanted) || !integer.test(taintValue)) return false;
      return toleration.operator === 'Lt' ? BigInt(taintValue) < BigInt(wanted) : BigInt(taintValue) > BigInt(wanted);
    }
    default:
      return false;
  }
}

export const tolerated = (taint: Taint, tolerations: Toleration[] | undefined): boolean =>
  tolerations?.some((toleration) => toleratesTaint(toleration, taint)) ?? false;

/** The first taint with one of the effects that nothing tolerates. */
export function untoleratedTaint(
  taints: Taint[] | undefined,
  tolerations: Toleration[] | undefined,
  effects: readonly TaintEffect[],
): Taint | undefined {
  return taints?.find((taint) => effects.includes(taint.effect as TaintEffect) && !tolerated(taint, tolerations));
}

/** Taints are the same when key and effect are. */
export const sameTaint = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;

/** `key=value:effect`, as messages and `kubectl taint` write it. */
export const formatTaint = ({ key, value, effect }: Taint): string => `${key}${value ? `=${value}` : ''}:${effect}`;
