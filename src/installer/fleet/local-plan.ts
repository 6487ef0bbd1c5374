/** A cluster of this host alone, for commands over an inventory that were given none. */
import type { InventoryHost } from '../inventory/types.ts';
import type { Plan } from './plan.ts';

export function localPlan(name: string, nodeName: string): Plan {
  const host: InventoryHost = {
    name,
    address: '127.0.0.1',
    port: 22,
    user: 'root',
    hostKeys: [],
    knownHosts: [],
    hostKeyChecking: 'strict',
    connection: 'local',
    sudo: 'none',
    roles: ['control-plane'],
    groups: [],
    labels: {},
    annotations: {},
    nodeName,
    settings: {},
  };
  const inventory = { path: 'this host', bundleFrom: 'auto' as const, cluster: {}, hosts: [host] };
  return { inventory, hosts: [host], given: {} };
}
