/** Which pods would have to leave a node for another to fit there: as few and as unimportant as possible. */
import { matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type { PodDisruptionBudget } from '../../../../machinery/api/types.ts';
import type { CycleState } from '../../framework/cycle-state.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import type { FilterRunner } from '../../framework/plugin.ts';
import type { PodInfo } from '../../framework/pod-info.ts';
import { type Status, unresolvable } from '../../framework/status.ts';

export interface Candidate {
  nodeName: string;
  /** The most important first. */
  victims: PodInfo[];
  budgetViolations: number;
}

const startOf = ({ pod }: PodInfo): string => pod.status?.startTime ?? '9999';

/** More important: of higher priority, then running for longer. */
export const moreImportant = (a: PodInfo, b: PodInfo): number =>
  b.priority - a.priority || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);

/** Splits pods by whether their eviction goes against a disruption budget. */
export function splitByBudget(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]) {
  const left = new Map(budgets.map((budget) => [budget, budget.status?.disruptionsAllowed ?? 0]));
  const violating: PodInfo[] = [];
  const allowed: PodInfo[] = [];
  for (const info of pods) {
    const labels = info.pod.metadata?.labels;
    let violates = false;
    for (const budget of labels ? budgets : []) {
      if (budget.metadata?.namespace !== info.pod.metadata?.namespace) continue;
      if (!budget.spec?.selector || !matchesLabelSelector(budget.spec.selector, labels)) continue;
      if (budget.status?.disruptedPods?.[info.pod.metadata?.name ?? '']) continue;
      const remaining = (left.get(budget) ?? 0) - 1;
      left.set(budget, remaining);
      if (remaining < 0) violates = true;
    }
    (violates ? violating : allowed).push(info);
  }
  return { violating, allowed };
}

export const noVictims = unresolvable('No preemption victims found for incoming pod');

/** Takes all less important pods away, then puts back whichever may stay. Answers a status when that does not help. */
export function victimsOn(
  runner: FilterRunner,
  stateOfCycle: CycleState,
  info: PodInfo,
  original: NodeInfo,
  budgets: readonly PodDisruptionBudget[],
): Candidate | Status {
  const [state, node] = [stateOfCycle.clone(), original.clone()];
  const remove = (other: PodInfo) => {
    node.removePod(other);
    runner.removePod(state, info, other, node);
  };
  const add = (other: PodInfo) => {
    node.addPod(other);
    runner.addPod(state, info, other, node);
  };
  const lesser = [...node.pods.values()].filter((other) => other.priority < info.priority);
  if (lesser.length === 0) return noVictims;
  for (const other of lesser) remove(other);
  const refused = runner.filterWithNominated(state, info, node);
  if (refused) return refused;

  const victims: PodInfo[] = [];
  let budgetViolations = 0;
  /** Answers whether the pod may stay. */
  const reprieve = (other: PodInfo): boolean => {
    add(other);
    if (!runner.filterWithNominated(state, info, node)) return true;
    remove(other);
    victims.push(other);
    return false;
  };
  const { violating, allowed } = splitByBudget(lesser.sort(moreImportant), budgets);
  for (const other of violating) if (!reprieve(other)) budgetViolations += 1;
  for (const other of allowed) reprieve(other);
  return { nodeName: node.name, victims: victims.sort(moreImportant), budgetViolations };
}

/** The candidate that hurts least: by budgets, highest priority, sum and number of victims, and how long the most important have run. */
export function leastHarm(candidates: readonly Candidate[]): Candidate | undefined {
  const highest = ({ victims }: Candidate) => victims[0]?.priority ?? Number.NEGATIVE_INFINITY;
  const sum = ({ victims }: Candidate) => victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliest = (candidate: Candidate) =>
    candidate.victims
      .filter(({ priority }) => priority === highest(candidate))
      .map(startOf)
      .sort()[0] ?? '9999';
  return [...candidates].sort(
    (a, b) =>
      a.budgetViolations - b.budgetViolations ||
      highest(a) - highest(b) ||
      sum(a) - sum(b) ||
      a.victims.length - b.victims.length ||
      (earliest(a) > earliest(b) ? -1 : earliest(a) < earliest(b) ? 1 : 0),
  )[0];
}
