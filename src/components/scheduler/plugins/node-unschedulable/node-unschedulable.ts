/** NodeUnschedulable: cordoned nodes take only pods that tolerate being there. */
import { taintKeys, tolerated } from '../../../../machinery/api/taints.ts';
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { unresolvable } from '../../framework/status.ts';

const refused = unresolvable('node(s) were unschedulable');
const taint = { key: taintKeys.unschedulable, effect: 'NoSchedule' };

export const acceptsPod = (node: Node | undefined, pod: Pod): boolean =>
  !node?.spec?.unschedulable || tolerated(taint, pod.spec?.tolerations);

export const nodeUnschedulable: PluginFactory = () => ({
  name: 'NodeUnschedulable',
  filter: (_state, { pod }, { node }) => (acceptsPod(node, pod) ? undefined : refused),
  events: [
    {
      resource: 'Node',
      actions: ['Add', 'UpdateNodeTaint'],
      hint: (pod, { newObject }) => acceptsPod(newObject as Node, pod),
    },
    { resource: 'UnscheduledPod', actions: ['UpdatePodToleration'] },
  ],
});
