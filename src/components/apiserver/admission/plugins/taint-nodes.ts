/** TaintNodesByCondition: a new node takes no pods before the node lifecycle controller has seen it ready. */
import { sameTaint, taintKeys } from '../../../../machinery/api/taints.ts';
import type { Node, Taint } from '../../../../machinery/api/types.ts';
import { isFor, onOperations, type PluginFactory } from '../plugin.ts';

const notReady: Taint = { key: taintKeys.notReady, effect: 'NoSchedule' };

export const taintNodesByCondition: PluginFactory = () => ({
  name: 'TaintNodesByCondition',
  handles: onOperations('CREATE'),
  admit(attributes) {
    if (!isFor(attributes, '', 'nodes')) return;
    const node = attributes.object as Node;
    node.spec ??= {};
    if (!node.spec.taints?.some((taint) => sameTaint(taint, notReady)))
      node.spec.taints = [...(node.spec.taints ?? []), { ...notReady }];
  },
});
