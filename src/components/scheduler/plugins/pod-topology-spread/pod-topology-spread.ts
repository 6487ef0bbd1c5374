/** PodTopologySpread: keeps pods of a kind evenly over nodes, zones or other domains. */
import { matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import type { ClusterEvent } from '../../framework/events.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip } from '../../framework/status.ts';
import { defaultConstraints, ownConstraints, ownerStores, type RawConstraint, systemDefaults } from './constraints.ts';
import { SpreadState } from './filter-state.ts';
import { normalizeSpread, type SpreadScores, spreadScore, spreadScores } from './score-state.ts';

const name = 'PodTopologySpread';
const scoresName = `${name}/scores`;

export const podTopologySpread: PluginFactory = (context, args) => {
  const listed = args['defaultingType'] === 'List';
  const raw = listed ? ((args['defaultConstraints'] ?? []) as RawConstraint[]) : systemDefaults;
  const defaults = { constraints: raw, owners: ownerStores(context) };
  const constraintsOf = (pod: Pod, whenUnsatisfiable: string) =>
    pod.spec?.topologySpreadConstraints?.length
      ? ownConstraints(pod, whenUnsatisfiable)
      : defaultConstraints(pod, defaults, whenUnsatisfiable);
  const hasLabels = (pod: Pod, node: Node | undefined) =>
    constraintsOf(pod, 'DoNotSchedule').every(({ topologyKey }) => node?.metadata?.labels?.[topologyKey] !== undefined);
  /** A pod of the kind came, went, or changed whether it is of the kind. */
  const podHint = (pod: Pod, { oldObject, newObject }: ClusterEvent) => {
    const changed = (newObject ?? oldObject) as Pod;
    if (changed.metadata?.namespace !== pod.metadata?.namespace) return false;
    return constraintsOf(pod, 'DoNotSchedule').some(
      ({ selector }) =>
        matchesSelector(selector, newObject?.metadata?.labels) ||
        matchesSelector(selector, oldObject?.metadata?.labels),
    );
  };
  return {
    name,
    preFilter: (state, { pod }, snapshot) => {
      const constraints = constraintsOf(pod, 'DoNotSchedule');
      if (constraints.length === 0) return { status: skip };
      state.set(name, SpreadState.of(pod, constraints, snapshot.nodes));
      return undefined;
    },
    filter: (state, { pod }, node) => state.get<SpreadState>(name)?.check(pod, node),
    addPod: (state, { pod }, added, node) => state.get<SpreadState>(name)?.change(pod, added.pod, node, 1),
    removePod: (state, { pod }, removed, node) => state.get<SpreadState>(name)?.change(pod, removed.pod, node, -1),
    preScore: (state, { pod }, nodes) => {
      const constraints = constraintsOf(pod, 'ScheduleAnyway');
      if (constraints.length === 0) return skip;
      const requireAll = (pod.spec?.topologySpreadConstraints?.length ?? 0) > 0 || listed;
      const scores = spreadScores(pod, constraints, context.snapshot().nodes, nodes, requireAll);
      state.set(scoresName, new FixedState(scores));
      return undefined;
    },
    score: (state, { pod }, node) => {
      const scores = state.get<FixedState<SpreadScores>>(scoresName)?.value;
      return scores ? spreadScore(scores, pod, node) : 0;
    },
    normalize: (state, _info, nodes, values) => {
      const scores = state.get<FixedState<SpreadScores>>(scoresName)?.value;
      if (scores) normalizeSpread(scores, nodes, values);
    },
    events: [
      { resource: 'AssignedPod', actions: ['Add', 'Delete', 'UpdatePodLabel'], hint: podHint },
      { resource: 'UnscheduledPod', actions: ['UpdatePodLabel', 'UpdatePodToleration'] },
      {
        resource: 'Node',
        actions: ['Add', 'Delete', 'UpdateNodeLabel', 'UpdateNodeTaint'],
        hint: (pod, { oldObject, newObject }) => hasLabels(pod, newObject as Node) || hasLabels(pod, oldObject as Node),
      },
    ],
  };
};
