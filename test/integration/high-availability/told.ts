/** What `kinit up` says that it would change, or has changed, on each host. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import type { SeveralControlPlanes } from '../../parts/several-control-planes.ts';

/** The cluster's inventory with other settings, in a file of its own. */
export async function changedInventory({ folder }: SeveralControlPlanes, change: (inventory: Inventory) => void) {
  const inventory = JSON.parse(await readFile(join(folder, 'inventory.yaml'), 'utf8')) as Inventory;
  change(inventory);
  await writeFile(join(folder, 'changed.yaml'), JSON.stringify(inventory));
  return 'changed.yaml';
}

interface Inventory {
  cluster?: object;
  kubelet?: object;
  hosts: { name: string; labels?: Record<string, string>; settings?: object }[];
}

export interface Told {
  /** `m1 kubelet-start`: phases and steps that would change something, or have. */
  phases: string[];
  /** `m1 write /etc/…`, of a dry run. */
  planned: string[];
  /** All differences of a host. */
  differences(host: string): string;
}

export async function told(cluster: SeveralControlPlanes, inventory: string, ...flags: string[]): Promise<Told> {
  const words = ['--kubeconfig-out', cluster.kubeconfig, '--output', 'json', ...flags];
  const lines = (await cluster.kinit('up', '-i', inventory, ...words)).split('\n');
  const events = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as FleetEvent);
  const ended = events.find((event) => event.type === 'fleet-ended');
  const planned = events.filter((event) => event.type === 'planned');
  return {
    phases: (ended?.hosts ?? []).flatMap(({ name, changed }) => changed.map((what) => `${name} ${what}`)).sort(),
    planned: planned.map(({ host, action, what }) => `${host} ${action} ${what}`).sort(),
    differences: (name) =>
      planned.flatMap(({ host, difference = '' }) => (host === name ? [difference] : [])).join('\n'),
  };
}
