/** TaintToleration: nodes with a taint that the pod does not tolerate are refused, or scored lower. */
import { toleratesTaint, untoleratedTaint } from '../../../../machinery/api/taints.ts';
import type { Node, Taint, Toleration } from '../../../../machinery/api/types.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import { normalizeScores } from '../../framework/normalize.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { unresolvable } from '../../framework/status.ts';

const name = 'TaintToleration';
const refused = unresolvable('node(s) had untolerated taint(s)');

export const keepsOut = (taints: Taint[] | undefined, tolerations: Toleration[] | undefined): boolean =>
  untoleratedTaint(taints, tolerations, ['NoSchedule', 'NoExecute']) !== undefined;

/** How many PreferNoSchedule taints the pod does not tolerate. */
export const dislikes = (taints: Taint[], tolerations: Toleration[]): number =>
  taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !tolerations.some((t) => toleratesTaint(t, taint)))
    .length;

export const taintToleration: PluginFactory = () => ({
  name,
  filter: (_state, { pod }, { taints }) => (keepsOut(taints, pod.spec?.tolerations) ? refused : undefined),
  preScore: (state, { pod }) => {
    const tolerations = (pod.spec?.tolerations ?? []).filter(({ effect }) => !effect || effect === 'PreferNoSchedule');
    state.set(name, new FixedState(tolerations));
    return undefined;
  },
  score: (state, _info, { taints }) => dislikes(taints, state.get<FixedState<Toleration[]>>(name)?.value ?? []),
  normalize: (_state, _info, _nodes, scores) => normalizeScores(scores, true),
  events: [
    {
      resource: 'Node',
      actions: ['Add', 'UpdateNodeTaint'],
      hint: (pod, { newObject }) => !keepsOut((newObject as Node).spec?.taints, pod.spec?.tolerations),
    },
    { resource: 'UnscheduledPod', actions: ['UpdatePodToleration'] },
  ],
});
