/** Required affinity and anti-affinity of one pod against all others, counted per topology domain. */
import type { Pod } from '../../../../machinery/api/types.ts';
import { type AffinityTerm, type NamespaceLabels, termMatches } from '../../framework/affinity-term.ts';
import type { CloneableState } from '../../framework/cycle-state.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import type { PodInfo } from '../../framework/pod-info.ts';
import { type Status, unresolvable, unschedulable } from '../../framework/status.ts';

export const lacksAffinity = unresolvable("node(s) didn't match pod affinity rules");
export const hasOwnAnti = unschedulable("node(s) didn't match pod anti-affinity rules");
export const hasOthersAnti = unschedulable("node(s) didn't satisfy existing pods anti-affinity rules");

/** `key=value` of a node label → matching pods in the domain. */
type DomainCounts = Map<string, number>;

const domainOf = ({ topologyKey }: AffinityTerm, { labels }: NodeInfo): string | undefined => {
  const value = labels[topologyKey];
  return value === undefined ? undefined : `${topologyKey}=${value}`;
};

function addTo(counts: DomainCounts, domain: string | undefined, by: number): void {
  if (domain === undefined) return;
  const count = (counts.get(domain) ?? 0) + by;
  if (count === 0) counts.delete(domain);
  else counts.set(domain, count);
}

export const matchesAll = (terms: readonly AffinityTerm[], pod: Pod, labelsOf: NamespaceLabels): boolean =>
  terms.length > 0 && terms.every((term) => termMatches(term, pod, labelsOf));

export class AffinityState implements CloneableState {
  readonly #labelsOf: NamespaceLabels;
  readonly #affinity: DomainCounts;
  readonly #anti: DomainCounts;
  /** Domains that pods already there keep this one out of. */
  readonly #others: DomainCounts;

  constructor(
    labelsOf: NamespaceLabels,
    affinity: DomainCounts = new Map(),
    anti: DomainCounts = new Map(),
    others: DomainCounts = new Map(),
  ) {
    this.#labelsOf = labelsOf;
    this.#affinity = affinity;
    this.#anti = anti;
    this.#others = others;
  }

  clone(): this {
    const copies = [this.#affinity, this.#anti, this.#others].map((counts) => new Map(counts));
    return new AffinityState(this.#labelsOf, copies[0], copies[1], copies[2]) as this;
  }

  get isEmpty(): boolean {
    return this.#affinity.size + this.#anti.size + this.#others.size === 0;
  }

  /** Another pod is on the node (1), or no longer (-1). */
  change({ pod, affinity }: PodInfo, other: PodInfo, node: NodeInfo, by: 1 | -1): void {
    if (matchesAll(affinity.requiredAffinity, other.pod, this.#labelsOf))
      for (const term of affinity.requiredAffinity) addTo(this.#affinity, domainOf(term, node), by);
    for (const term of affinity.requiredAntiAffinity)
      if (termMatches(term, other.pod, this.#labelsOf)) addTo(this.#anti, domainOf(term, node), by);
    for (const term of other.affinity.requiredAntiAffinity)
      if (termMatches(term, pod, this.#labelsOf)) addTo(this.#others, domainOf(term, node), by);
  }

  check({ pod, affinity }: PodInfo, node: NodeInfo): Status | undefined {
    if (!this.#hasAffinity(pod, affinity.requiredAffinity, node)) return lacksAffinity;
    const inDomain = (term: AffinityTerm) => (this.#anti.get(domainOf(term, node) ?? '') ?? 0) > 0;
    if (affinity.requiredAntiAffinity.some(inDomain)) return hasOwnAnti;
    for (const [key, value] of Object.entries(node.labels))
      if ((this.#others.get(`${key}=${value}`) ?? 0) > 0) return hasOthersAnti;
    return undefined;
  }

  #hasAffinity(pod: Pod, terms: readonly AffinityTerm[], node: NodeInfo): boolean {
    const domains = terms.map((term) => domainOf(term, node));
    if (domains.some((domain) => domain === undefined)) return false;
    if (domains.every((domain) => (this.#affinity.get(domain as string) ?? 0) > 0)) return true;
    // The first of a group that wants to be together may go anywhere.
    return this.#affinity.size === 0 && matchesAll(terms, pod, this.#labelsOf);
  }
}
