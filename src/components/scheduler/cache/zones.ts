/** The order in which nodes are looked at: zones take turns, so that a part of the nodes is still a mix of all zones. */
import type { Node } from '../../../machinery/api/types.ts';

export function zoneOf(node: Node | undefined): string {
  const labels = node?.metadata?.labels ?? {};
  const region = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '';
  const zone = labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '';
  return region || zone ? `${region}:\0:${zone}` : '';
}

export function interleaveZones<T>(items: Iterable<T>, zone: (item: T) => string): T[] {
  const zones = new Map<string, T[]>();
  for (const item of items) {
    const name = zone(item);
    const list = zones.get(name);
    if (list) list.push(item);
    else zones.set(name, [item]);
  }
  if (zones.size <= 1) return [...zones.values()].flat();
  const lists = [...zones.values()];
  const longest = Math.max(...lists.map((list) => list.length));
  const order: T[] = [];
  for (let i = 0; i < longest; i += 1) {
    for (const list of lists) if (i < list.length) order.push(list[i] as T);
  }
  return order;
}
