/** NodePorts: a host port is given once per address and protocol. */
import type { Pod } from '../../../../machinery/api/types.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { type HostPort, hostPortsOf } from '../../framework/pod-info.ts';
import { skip, unschedulable } from '../../framework/status.ts';

const name = 'NodePorts';
const refused = unschedulable("node(s) didn't have free ports for the requested pod ports");

export function portsAreFree(wanted: readonly HostPort[], used: NodeInfo['usedPorts']): boolean {
  return wanted.every(({ ip, protocol, port }) => {
    const addresses = used.get(`${protocol}/${port}`);
    if (!addresses) return true;
    return ip !== '0.0.0.0' && !addresses.has(ip) && !addresses.has('0.0.0.0');
  });
}

const overlap = (a: HostPort, b: HostPort) =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');

export const nodePorts: PluginFactory = () => ({
  name,
  preFilter: (state, { hostPorts }) => {
    if (hostPorts.length === 0) return { status: skip };
    state.set(name, new FixedState(hostPorts));
    return undefined;
  },
  filter: (_state, { hostPorts }, { usedPorts }) => (portsAreFree(hostPorts, usedPorts) ? undefined : refused),
  events: [
    {
      resource: 'AssignedPod',
      actions: ['Delete'],
      hint: (pod, { oldObject }) => {
        const freed = hostPortsOf(oldObject as Pod);
        return hostPortsOf(pod).some((wanted) => freed.some((port) => overlap(wanted, port)));
      },
    },
    { resource: 'Node', actions: ['Add'] },
  ],
});
