/** Scores by soft constraints: the fewer pods of the kind a node's domains hold, the better. */

import { matchesRequiredNodeAffinity } from '../../../../machinery/api/node-affinity.ts';
import type { Pod } from '../../../../machinery/api/types.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import { maxNodeScore } from '../../framework/plugin.ts';
import { countMatching, hostnameKey, includesNode, type SpreadConstraint } from './constraints.ts';

export interface SpreadScores {
  constraints: readonly SpreadConstraint[];
  /** Nodes that lack a topology label. */
  ignored: ReadonlySet<string>;
  /** By constraint: domain → pods; empty for the host name, whose domain is the node itself. */
  counts: readonly ReadonlyMap<string, number>[];
  weights: readonly number[];
}

/**
 * @param feasible nodes that passed the filters
 * @param requireAll whether nodes lacking any of the topology labels are left out
 */
export function spreadScores(
  pod: Pod,
  constraints: readonly SpreadConstraint[],
  all: readonly NodeInfo[],
  feasible: readonly NodeInfo[],
  requireAll: boolean,
): SpreadScores {
  const complete = ({ labels }: NodeInfo) => constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined);
  const ignored = new Set(requireAll ? feasible.filter((node) => !complete(node)).map(({ name }) => name) : []);
  const counts = constraints.map(() => new Map<string, number>());
  for (const node of feasible) {
    if (ignored.has(node.name)) continue;
    for (const [i, { topologyKey }] of constraints.entries()) {
      const domain = node.labels[topologyKey];
      if (topologyKey !== hostnameKey && domain !== undefined) counts[i]?.set(domain, 0);
    }
  }
  const weights = constraints.map(({ topologyKey }, i) => {
    const domains = topologyKey === hostnameKey ? feasible.length - ignored.size : (counts[i]?.size ?? 0);
    return Math.log(domains + 2);
  });
  const namespace = pod.metadata?.namespace ?? '';
  for (const info of all) {
    const { node } = info;
    if (!node || (requireAll && !complete(info)) || !matchesRequiredNodeAffinity(pod.spec, node)) continue;
    for (const [i, constraint] of constraints.entries()) {
      const domain = info.labels[constraint.topologyKey];
      const before = domain === undefined ? undefined : counts[i]?.get(domain);
      if (domain === undefined || before === undefined || !includesNode(constraint, pod, node)) continue;
      counts[i]?.set(domain, before + countMatching(info, constraint.selector, namespace));
    }
  }
  return { constraints, ignored, counts, weights };
}

/** A penalty: what other pods of the kind are near, each topology weighted by its number of domains. */
export function spreadScore({ constraints, ignored, counts, weights }: SpreadScores, pod: Pod, node: NodeInfo): number {
  if (ignored.has(node.name)) return 0;
  let score = 0;
  for (const [i, { topologyKey, selector, maxSkew }] of constraints.entries()) {
    const domain = node.labels[topologyKey];
    if (domain === undefined) continue;
    const count =
      topologyKey === hostnameKey
        ? countMatching(node, selector, pod.metadata?.namespace ?? '')
        : (counts[i]?.get(domain) ?? 0);
    score += count * (weights[i] as number) + (maxSkew - 1);
  }
  return Math.round(score);
}

/** Turns penalties into scores, in place. */
export function normalizeSpread({ ignored }: SpreadScores, nodes: readonly NodeInfo[], scores: number[]): void {
  const counted = scores.filter((_, i) => !ignored.has(nodes[i]?.name ?? ''));
  const [least, most] = [Math.min(...counted), Math.max(...counted)];
  for (const [i, score] of scores.entries()) {
    if (ignored.has(nodes[i]?.name ?? '')) scores[i] = 0;
    else scores[i] = most === 0 ? maxNodeScore : Math.floor((maxNodeScore * (most + least - score)) / most);
  }
}
