/** InterPodAffinity: near pods that it wants to be near, away from those it (or they) want to be away from. */
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import {
  type AffinityTerm,
  affinityTermsOf,
  termMatches,
  type WeightedAffinityTerm,
} from '../../framework/affinity-term.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import { maxNodeScore, type PluginFactory } from '../../framework/plugin.ts';
import type { PodInfo } from '../../framework/pod-info.ts';
import { skip } from '../../framework/status.ts';
import { AffinityState } from './filter-state.ts';

const name = 'InterPodAffinity';
const scoresName = `${name}/scores`;

/** Topology key → value → score. */
type TopologyScores = Map<string, Map<string, number>>;

export const interPodAffinity: PluginFactory = (context, args) => {
  const labelsOf = context.namespaceLabels;
  const hardWeight = (args['hardPodAffinityWeight'] as number | undefined) ?? 1;
  const ignoreExisting = args['ignorePreferredTermsOfExistingPods'] === true;

  const scoresOf = (info: PodInfo, nodes: readonly NodeInfo[], withAll: boolean): TopologyScores => {
    const scores: TopologyScores = new Map();
    const add = ({ topologyKey }: AffinityTerm, { labels }: NodeInfo, weight: number) => {
      const value = labels[topologyKey];
      if (value === undefined || weight === 0) return;
      const values = scores.get(topologyKey) ?? new Map<string, number>();
      values.set(value, (values.get(value) ?? 0) + weight);
      scores.set(topologyKey, values);
    };
    const addAll = (terms: readonly WeightedAffinityTerm[], about: Pod, node: NodeInfo, sign: 1 | -1) => {
      for (const term of terms) if (termMatches(term, about, labelsOf)) add(term, node, sign * term.weight);
    };
    for (const node of nodes) {
      for (const other of (withAll ? node.pods : node.podsWithAffinity).values()) {
        addAll(info.affinity.preferredAffinity, other.pod, node, 1);
        addAll(info.affinity.preferredAntiAffinity, other.pod, node, -1);
        for (const term of other.affinity.requiredAffinity)
          if (termMatches(term, info.pod, labelsOf)) add(term, node, hardWeight);
        if (ignoreExisting) continue;
        addAll(other.affinity.preferredAffinity, info.pod, node, 1);
        addAll(other.affinity.preferredAntiAffinity, info.pod, node, -1);
      }
    }
    return scores;
  };

  /** A pod came, went or changed its labels: it matters when a term of either means the other. */
  const podHint = (pod: Pod, changed: Pod | undefined): boolean => {
    if (!changed) return false;
    const own = affinityTermsOf(pod);
    if ([...own.requiredAffinity, ...own.requiredAntiAffinity].some((term) => termMatches(term, changed, labelsOf)))
      return true;
    return affinityTermsOf(changed).requiredAntiAffinity.some((term) => termMatches(term, pod, labelsOf));
  };

  return {
    name,
    preFilter: (state, info, snapshot) => {
      const found = new AffinityState(labelsOf);
      const { requiredAffinity, requiredAntiAffinity } = info.affinity;
      const own = requiredAffinity.length + requiredAntiAffinity.length > 0;
      for (const node of own ? snapshot.nodes : snapshot.withRequiredAntiAffinity())
        for (const other of (own ? node.pods : node.podsWithRequiredAntiAffinity).values())
          found.change(info, other, node, 1);
      if (!own && found.isEmpty) return { status: skip };
      state.set(name, found);
      return undefined;
    },
    filter: (state, info, node) => state.get<AffinityState>(name)?.check(info, node),
    addPod: (state, info, added, node) => state.get<AffinityState>(name)?.change(info, added, node, 1),
    removePod: (state, info, removed, node) => state.get<AffinityState>(name)?.change(info, removed, node, -1),
    preScore: (state, info) => {
      const { preferredAffinity, preferredAntiAffinity } = info.affinity;
      const own = preferredAffinity.length + preferredAntiAffinity.length > 0;
      if (ignoreExisting && !own) return skip;
      const snapshot = context.snapshot();
      const scores = scoresOf(info, own ? snapshot.nodes : snapshot.withAffinity(), own);
      if (scores.size === 0) return skip;
      state.set(scoresName, new FixedState(scores));
      return undefined;
    },
    score: (state, _info, { labels }) => {
      let score = 0;
      for (const [key, values] of state.get<FixedState<TopologyScores>>(scoresName)?.value ?? [])
        score += values.get(labels[key] ?? '') ?? 0;
      return score;
    },
    normalize: (_state, _info, _nodes, scores) => {
      const [least, most] = [Math.min(...scores), Math.max(...scores)];
      for (const [i, score] of scores.entries())
        scores[i] = most > least ? Math.floor((maxNodeScore * (score - least)) / (most - least)) : 0;
    },
    events: [
      {
        resource: 'AssignedPod',
        actions: ['Add', 'Delete', 'UpdatePodLabel'],
        hint: (pod, { oldObject, newObject }) =>
          podHint(pod, oldObject as Pod | undefined) || podHint(pod, newObject as Pod | undefined),
      },
      { resource: 'UnscheduledPod', actions: ['UpdatePodLabel'] },
      {
        resource: 'Node',
        actions: ['Add', 'UpdateNodeLabel'],
        hint: (pod, { newObject }) => {
          const labels = (newObject as Node | undefined)?.metadata?.labels ?? {};
          const { requiredAffinity, requiredAntiAffinity } = affinityTermsOf(pod);
          return requiredAffinity.every(({ topologyKey }) => topologyKey in labels) || requiredAntiAffinity.length > 0;
        },
      },
      { resource: 'Namespace', actions: ['Add', 'Update'] },
    ],
  };
};
