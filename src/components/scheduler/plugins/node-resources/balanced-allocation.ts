/** NodeResourcesBalancedAllocation: prefers nodes on which no resource runs out much before the others. */
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip } from '../../framework/status.ts';
import { balancedAllocation } from './scorers.ts';

export const nodeResourcesBalancedAllocation: PluginFactory = (_context, args) => {
  const named = (args['resources'] as { name: string }[] | undefined) ?? [{ name: 'cpu' }, { name: 'memory' }];
  const resources = named.map(({ name }) => ({ name, weight: 1 }));
  return {
    name: 'NodeResourcesBalancedAllocation',
    // Pods that request nothing do not change the balance.
    preScore: (_state, { requests }) =>
      resources.some(({ name }) => (requests.get(name) ?? 0) > 0) ? undefined : skip,
    score: (_state, info, node) => balancedAllocation(info, node, resources),
  };
};
