/** How the pods that a pod's hard constraints select are spread over the domains of each topology key. */
import { matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { Pod } from '../../../../machinery/api/types.ts';
import type { CloneableState } from '../../framework/cycle-state.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import { type Status, unresolvable, unschedulable } from '../../framework/status.ts';
import { countMatching, includesNode, type SpreadConstraint } from './constraints.ts';

export const refused = unschedulable("node(s) didn't match pod topology spread constraints");
export const lacksLabel = unresolvable("node(s) didn't match pod topology spread constraints (missing required label)");

export class SpreadState implements CloneableState {
  readonly constraints: readonly SpreadConstraint[];
  /** By constraint: domain → pods. */
  readonly #counts: Map<string, number>[];

  constructor(
    constraints: readonly SpreadConstraint[],
    counts: Map<string, number>[] = constraints.map(() => new Map()),
  ) {
    this.constraints = constraints;
    this.#counts = counts;
  }

  static of(pod: Pod, constraints: readonly SpreadConstraint[], nodes: readonly NodeInfo[]): SpreadState {
    const state = new SpreadState(constraints);
    for (const info of nodes) {
      const { node, labels } = info;
      if (!node || !constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined)) continue;
      for (const [i, constraint] of constraints.entries()) {
        if (!includesNode(constraint, pod, node)) continue;
        const found = countMatching(info, constraint.selector, pod.metadata?.namespace ?? '');
        state.#add(i, labels[constraint.topologyKey] as string, found);
      }
    }
    return state;
  }

  clone(): this {
    return new SpreadState(
      this.constraints,
      this.#counts.map((counts) => new Map(counts)),
    ) as this;
  }

  /** Another pod came to the node (1) or left it (-1). */
  change(pod: Pod, other: Pod, { node, labels }: NodeInfo, by: 1 | -1): void {
    if (!node || pod.metadata?.namespace !== other.metadata?.namespace) return;
    for (const [i, constraint] of this.constraints.entries()) {
      const domain = labels[constraint.topologyKey];
      if (domain === undefined || !matchesSelector(constraint.selector, other.metadata?.labels)) continue;
      if (includesNode(constraint, pod, node)) this.#add(i, domain, by);
    }
  }

  check(pod: Pod, { labels }: NodeInfo): Status | undefined {
    for (const [i, constraint] of this.constraints.entries()) {
      const domain = labels[constraint.topologyKey];
      if (domain === undefined) return lacksLabel;
      const self = matchesSelector(constraint.selector, pod.metadata?.labels) ? 1 : 0;
      const skew = (this.#counts[i]?.get(domain) ?? 0) + self - this.#fewest(i, constraint);
      if (skew > constraint.maxSkew) return refused;
    }
    return undefined;
  }

  /** With fewer domains than asked for, an empty one is imagined. */
  #fewest(i: number, { minDomains }: SpreadConstraint): number {
    const counts = this.#counts[i] as Map<string, number>;
    if (counts.size < minDomains) return 0;
    let fewest = Number.MAX_SAFE_INTEGER;
    for (const count of counts.values()) if (count < fewest) fewest = count;
    return fewest;
  }

  #add(i: number, domain: string, by: number): void {
    const counts = this.#counts[i] as Map<string, number>;
    counts.set(domain, (counts.get(domain) ?? 0) + by);
  }
}
