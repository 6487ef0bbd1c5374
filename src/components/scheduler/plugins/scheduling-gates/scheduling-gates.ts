/** SchedulingGates: a pod with gates is not even tried. */
import type { Pod } from '../../../../machinery/api/types.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { type Status, unresolvable } from '../../framework/status.ts';

export function gatesOf(pod: Pod): Status | undefined {
  const gates = pod.spec?.schedulingGates ?? [];
  if (gates.length === 0) return undefined;
  return unresolvable(`waiting for scheduling gates: [${gates.map(({ name }) => name).join(' ')}]`);
}

export const schedulingGates: PluginFactory = () => ({
  name: 'SchedulingGates',
  preEnqueue: gatesOf,
  events: [{ resource: 'UnscheduledPod', actions: ['UpdatePodSchedulingGatesEliminated'] }],
});
