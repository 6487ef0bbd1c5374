/** Who takes the place of a node: a host of the inventory, or another machine with what the inventory says of the old one. */
import { isIP } from 'node:net';
import { nearestName } from '../config/nearest.ts';
import type { Taint } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { hostName } from '../inventory/schema.ts';
import { parseJump } from '../inventory/ssh-target.ts';
import type { Inventory, InventoryHost } from '../inventory/types.ts';

/** What becomes of the inventory's file. */
export type InventoryChange =
  | { kind: 'none' }
  /** Its place is another machine's. */
  | { kind: 'edit'; name: string; fields: Record<string, string | number>; drop: string[] }
  | { kind: 'remove'; name: string };

export interface Replacement {
  host: InventoryHost;
  change: InventoryChange;
}

/**
 * @param old absent: the inventory does not know it any more
 * @param given a host of the inventory, `[user@]address[:port]`, or `NAME=[user@]address[:port]`; absent: the old machine, reinstalled
 */
export function replacementOf(inventory: Inventory, old: InventoryHost | undefined, given?: string): Replacement {
  if (given === undefined || (old && given === old.name)) {
    if (old) return { host: old, change: { kind: 'none' } };
    throw new KinitError('Usage', `the node is not in ${inventory.path}: say who takes its place, with --with`);
  }
  const known = inventory.hosts.find(({ name }) => name === given);
  if (known) return { host: known, change: old ? { kind: 'remove', name: old.name } : { kind: 'none' } };
  const [, named, place = given] = /^([^=@:]+)=(.+)$/.exec(given) ?? [];
  if (named === undefined && !isIP(place) && !/[.@:]/.test(place)) {
    const near = nearestName(
      place,
      inventory.hosts.map(({ name }) => name),
    );
    throw new KinitError('Usage', `--with ${given}: no host of ${inventory.path} has this name`, {
      advice: `${near ? `did you mean "${near}"? ` : ''}add it to the inventory, or say its address: --with ${given}=ADDRESS`,
    });
  }
  if (!old) {
    throw new KinitError(
      'Usage',
      `--with ${given}: ${inventory.path} says nothing of the old node, so neither of the new one`,
      {
        advice: 'add the new host to the inventory, and name it with --with',
      },
    );
  }
  return elsewhere(inventory, old, named, isIP(place) ? { address: place } : parseJump(place));
}

function elsewhere(
  { hosts, path }: Inventory,
  old: InventoryHost,
  named: string | undefined,
  { address, user, port }: { address: string; user?: string; port?: number },
): Replacement {
  const name = named ?? old.name;
  if (!hostName.safeParse(name).success) {
    throw new KinitError('Usage', `--with: "${name}" is no host name (lower-case letters, digits, dots, dashes)`);
  }
  const other = hosts.find((host) => host !== old && (host.name === name || host.nodeName === name));
  if (other) throw new KinitError('Usage', `--with: ${path} has a host ${name} already, at ${other.address}`);
  const { hostKeys: _, hostKeyAlias: __, ...rest } = old;
  const nodeName = name === old.name ? old.nodeName : name;
  const login = { ...(user ? { user } : {}), ...(port ? { port } : {}) };
  const host = { ...rest, ...login, name, nodeName, address, hostKeys: [], connection: 'ssh' as const };
  const fields = { ...(name === old.name ? {} : { name }), address, ...login };
  const drop = ['hostKeys', ...(name === old.name ? [] : ['nodeName'])];
  return { host, change: { kind: 'edit', name: old.name, fields, drop } };
}

/** What a node has been given, beside what its kubelet and the control plane say of every node. */
export interface Marks {
  labels: Record<string, string>;
  taints: Taint[];
}

const ofTheMachine = /^((beta\.)?kubernetes\.io\/(hostname|os|arch)|(beta|node)\.kubernetes\.io\/instance-type)$/;

export function marksOf(
  labels: Readonly<Record<string, string>> = {},
  taints: readonly { key?: string; value?: string; effect?: string }[] = [],
): Marks {
  return {
    labels: Object.fromEntries(
      Object.entries(labels).filter(
        ([label]) => !ofTheMachine.test(label) && label !== 'node-role.kubernetes.io/control-plane',
      ),
    ),
    taints: taints
      .filter(({ key = '' }) => !/^node\.(kubernetes|cloudprovider\.kubernetes)\.io\//.test(key))
      .map(({ key = '', value, effect }) => ({ key, ...(value ? { value } : {}), effect: effect as Taint['effect'] })),
  };
}

/** What the inventory says of the new host wins over what the old node had. */
export const withMarks = (host: InventoryHost, { labels, taints }: Marks): InventoryHost => ({
  ...host,
  labels: { ...labels, ...host.labels },
  taints: host.taints ?? taints,
});
