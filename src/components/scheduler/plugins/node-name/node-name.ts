/** NodeName: a pod that names its node fits no other. */
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { unresolvable } from '../../framework/status.ts';

const refused = unresolvable("node(s) didn't match the requested node name");

export const fitsNodeName = (pod: Pod, nodeName: string): boolean =>
  !pod.spec?.nodeName || pod.spec.nodeName === nodeName;

export const nodeName: PluginFactory = () => ({
  name: 'NodeName',
  filter: (_state, { pod }, node) => (fitsNodeName(pod, node.name) ? undefined : refused),
  events: [
    {
      resource: 'Node',
      actions: ['Add'],
      hint: (pod, { newObject }) => fitsNodeName(pod, (newObject as Node | undefined)?.metadata?.name ?? ''),
    },
  ],
});
