/** NodeAffinity: nodeSelector, required and preferred node affinity, and the affinity that the configuration adds to all pods. */
import {
  matchesNodeSelector,
  matchesRequiredNodeAffinity,
  nodeAffinityWeight,
  nodeNamesOf,
} from '../../../../machinery/api/node-affinity.ts';
import type { Affinity, Node, Pod, PodSpec } from '../../../../machinery/api/types.ts';
import { normalizeScores } from '../../framework/normalize.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip, unresolvable } from '../../framework/status.ts';

const refused = unresolvable("node(s) didn't match Pod's node affinity/selector");
const refusedByConfiguration = unresolvable("node(s) didn't match scheduler-enforced node affinity");
const contradiction = unresolvable('pod affinity terms conflict');

export const nodeAffinity: PluginFactory = (_context, args) => {
  const added = args['addedAffinity'] as Affinity['nodeAffinity'];
  const addedSpec: PodSpec | undefined = added && { containers: [], affinity: { nodeAffinity: added } };
  const addedRequired = added?.requiredDuringSchedulingIgnoredDuringExecution;
  const fits = (pod: Pod, node: Node) =>
    (!addedRequired || matchesNodeSelector(addedRequired, node)) && matchesRequiredNodeAffinity(pod.spec, node);
  return {
    name: 'NodeAffinity',
    preFilter: (_state, { pod }) => {
      const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
      if (!addedRequired && !required && !pod.spec?.nodeSelector) return { status: skip };
      const nodeNames = nodeNamesOf(pod.spec);
      if (!nodeNames) return undefined;
      return nodeNames.size === 0 ? { status: contradiction } : { nodeNames };
    },
    filter: (_state, { pod }, { node }) => {
      if (!node) return refused;
      if (addedRequired && !matchesNodeSelector(addedRequired, node)) return refusedByConfiguration;
      return matchesRequiredNodeAffinity(pod.spec, node) ? undefined : refused;
    },
    preScore: (_state, { pod }) => {
      const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
      return preferred?.length || added?.preferredDuringSchedulingIgnoredDuringExecution?.length ? undefined : skip;
    },
    score: (_state, { pod }, { node }) =>
      node ? nodeAffinityWeight(pod.spec, node) + nodeAffinityWeight(addedSpec, node) : 0,
    normalize: (_state, _info, _nodes, scores) => normalizeScores(scores, false),
    events: [
      {
        resource: 'Node',
        actions: ['Add', 'UpdateNodeLabel'],
        hint: (pod, { oldObject, newObject }) =>
          fits(pod, newObject as Node) && !(oldObject && fits(pod, oldObject as Node)),
      },
    ],
  };
};
