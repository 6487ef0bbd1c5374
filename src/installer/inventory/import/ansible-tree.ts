/** Groups, children, hosts and variables as Ansible knows them, and what a host's variables are in the end. */
import type { Json } from './types.ts';

type Vars = Record<string, Json>;

interface AnsibleGroup {
  hosts: Set<string>;
  children: Set<string>;
  vars: Vars;
}

export interface AnsibleTree {
  groups: Map<string, AnsibleGroup>;
  /** Variables of each host, in the order in which the hosts are named. */
  hosts: Map<string, Vars>;
}

export const newTree = (): AnsibleTree => ({ groups: new Map(), hosts: new Map() });

export function groupOf(tree: AnsibleTree, name: string): AnsibleGroup {
  const found = tree.groups.get(name) ?? { hosts: new Set(), children: new Set(), vars: {} };
  tree.groups.set(name, found);
  return found;
}

export function addHost(tree: AnsibleTree, group: string, name: string, vars: Vars = {}): void {
  groupOf(tree, group).hosts.add(name);
  tree.hosts.set(name, { ...tree.hosts.get(name), ...vars });
}

/** group → how far below `all` it stands; a group that contains itself is followed once. */
function depths(tree: AnsibleTree): Map<string, number> {
  const depth = new Map<string, number>();
  const visit = (name: string, at: number, seen: ReadonlySet<string>) => {
    if (seen.has(name)) return;
    depth.set(name, Math.max(depth.get(name) ?? 0, at));
    for (const child of tree.groups.get(name)?.children ?? []) visit(child, at + 1, new Set([...seen, name]));
  };
  for (const name of tree.groups.keys()) visit(name, name === 'all' ? 0 : 1, new Set());
  return depth;
}

/** The groups of a host, those of groups above included: the most general first, alphabetically among equals. */
export function groupsOfHost(tree: AnsibleTree, host: string): string[] {
  const found = new Set<string>(['all']);
  const climb = (group: string) => {
    if (found.has(group)) return;
    found.add(group);
    for (const [name, { children }] of tree.groups) if (children.has(group)) climb(name);
  };
  for (const [name, { hosts }] of tree.groups) if (hosts.has(host)) climb(name);
  const depth = depths(tree);
  return [...found].sort(
    (a, b) => (a === 'all' ? -1 : b === 'all' ? 1 : (depth.get(a) ?? 1) - (depth.get(b) ?? 1)) || (a < b ? -1 : 1),
  );
}

/** As Ansible: `all`, then groups from parent to child, then the host's own. */
export function varsOfHost(tree: AnsibleTree, host: string): Vars {
  const merged: Vars = {};
  for (const group of groupsOfHost(tree, host)) Object.assign(merged, tree.groups.get(group)?.vars);
  return Object.assign(merged, tree.hosts.get(host));
}
