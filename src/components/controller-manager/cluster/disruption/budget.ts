/** What a PodDisruptionBudget allows at the moment: pure decisions. */
import { isConditionTrue, withCondition } from '../../../../machinery/api/conditions.ts';
import { scaledValue } from '../../../../machinery/api/int-or-string.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Pod, PodDisruptionBudget } from '../../../../machinery/api/types.ts';

type BudgetStatus = NonNullable<PodDisruptionBudget['status']>;

/** An eviction that was allowed but not seen to happen within this time counts no more. */
const evictionTimeoutMs = 120_000;

export interface Disrupted {
  /** Pods whose eviction was allowed and that are not gone yet, with the time of it. */
  pods: Record<string, string>;
  /** Those whose time is over. */
  timedOut: string[];
  /** In milliseconds, when to look again. */
  recheckMs: number | undefined;
}

export function disruptedPods(budget: PodDisruptionBudget, pods: Pod[], now: number): Disrupted {
  const byName = new Map(pods.map((pod) => [pod.metadata?.name, pod]));
  const result: Disrupted = { pods: {}, timedOut: [], recheckMs: undefined };
  for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const pod = byName.get(name);
    if (!pod || pod.metadata?.deletionTimestamp) continue;
    const leftMs = timeOf(time) + evictionTimeoutMs - now;
    if (leftMs < 0) {
      result.timedOut.push(name);
      continue;
    }
    result.pods[name] = time;
    result.recheckMs = Math.min(result.recheckMs ?? leftMs, leftMs);
  }
  return result;
}

/** Whether the budget counts against the scale of the pods' controllers, not against the pods themselves. */
export const needsScale = ({ spec }: PodDisruptionBudget): boolean =>
  hasValue(spec?.maxUnavailable) || (typeof spec?.minAvailable === 'string' && spec.minAvailable.endsWith('%'));

const hasValue = (value: unknown) => value !== undefined && value !== null;

/** @param scale the sum of the replicas of the pods' controllers; only read when `needsScale` */
export function expectedPods({ spec }: PodDisruptionBudget, podCount: number, scale: number) {
  if (hasValue(spec?.maxUnavailable)) {
    const unavailable = scaledValue(spec?.maxUnavailable as number | string, scale, 'up');
    return { expectedCount: scale, desiredHealthy: Math.max(0, scale - unavailable) };
  }
  if (typeof spec?.minAvailable === 'string')
    return { expectedCount: scale, desiredHealthy: scaledValue(spec.minAvailable, scale, 'up') };
  if (hasValue(spec?.minAvailable))
    return { expectedCount: podCount, desiredHealthy: spec?.minAvailable as unknown as number };
  return { expectedCount: podCount, desiredHealthy: 0 };
}

export function healthyCount(pods: Pod[], disrupted: Record<string, string>): number {
  return pods.filter(
    ({ metadata, status }) =>
      !metadata?.deletionTimestamp &&
      !Object.hasOwn(disrupted, metadata?.name ?? '') &&
      isConditionTrue(status?.conditions, 'Ready'),
  ).length;
}

/** The status that follows, or undefined when it is there already. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  counts: { currentHealthy: number; desiredHealthy: number; expectedCount: number },
  disrupted: Record<string, string>,
): BudgetStatus | undefined {
  const { currentHealthy, desiredHealthy, expectedCount } = counts;
  const disruptionsAllowed = expectedCount <= 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const { conditions: _old, disruptedPods: _disrupted, ...rest } = budget.status ?? ({} as BudgetStatus);
  const observedGeneration = budget.metadata?.generation;
  const conditions = withCondition(budget.status?.conditions, {
    type: 'DisruptionAllowed',
    status: disruptionsAllowed > 0 ? 'True' : 'False',
    reason: disruptionsAllowed > 0 ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
  } as NonNullable<BudgetStatus['conditions']>[number]);
  const next: BudgetStatus = {
    ...rest,
    currentHealthy,
    desiredHealthy,
    expectedPods: expectedCount,
    disruptionsAllowed,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    ...(Object.keys(disrupted).length > 0 ? { disruptedPods: disrupted } : {}),
    conditions,
  };
  return isSame(budget.status, next) ? undefined : next;
}

function isSame(old: BudgetStatus | undefined, next: BudgetStatus): boolean {
  return (
    old !== undefined &&
    old.conditions === next.conditions &&
    (['currentHealthy', 'desiredHealthy', 'expectedPods', 'disruptionsAllowed', 'observedGeneration'] as const).every(
      (field) => old[field] === next[field],
    ) &&
    JSON.stringify(Object.keys(old.disruptedPods ?? {}).sort()) ===
      JSON.stringify(Object.keys(next.disruptedPods ?? {}).sort())
  );
}
