/** Ansible's YAML inventories, and the JSON of `ansible-inventory --list`. */
import { expandRange, splitPort } from './ansible-range.ts';
import { type AnsibleTree, addHost, groupOf, newTree } from './ansible-tree.ts';
import { asList, asText, at, isObject, type JsonObject, unreadable } from './types.ts';

export function parseAnsibleYaml(file: string, document: unknown, tree: AnsibleTree = newTree()): AnsibleTree {
  if (!isObject(document)) throw unreadable(file, 'is no Ansible inventory: the top is no mapping of groups');
  if ('_meta' in document) return readList(document, tree);
  for (const [name, group] of Object.entries(document)) readGroup(file, name, group, tree);
  return tree;
}

function readGroup(file: string, name: string, value: unknown, tree: AnsibleTree): void {
  const group = groupOf(tree, name);
  if (value === null || value === undefined) return;
  if (!isObject(value)) throw unreadable(file, `the group ${name} is no mapping with hosts, vars or children`);
  const part = (field: string): JsonObject => {
    const found = value[field];
    if (found === undefined || found === null) return {};
    if (isObject(found)) return found;
    throw unreadable(file, `${field} of the group ${name} is no mapping`);
  };
  Object.assign(group.vars, part('vars'));
  for (const [pattern, vars] of Object.entries(part('hosts'))) {
    for (const each of expandRange(pattern)) {
      const { name: host, port } = splitPort(each);
      addHost(tree, name, host, { ...(port ? { ansible_port: port } : {}), ...(isObject(vars) ? vars : {}) });
    }
  }
  for (const [child, below] of Object.entries(part('children'))) {
    group.children.add(child);
    readGroup(file, child, below, tree);
  }
}

/** `{"_meta": {"hostvars": {…}}, "group": {"hosts": […], "children": […]}}` */
function readList(document: JsonObject, tree: AnsibleTree): AnsibleTree {
  for (const [name, group] of Object.entries(document)) {
    if (name === '_meta') continue;
    const known = groupOf(tree, name);
    const vars = at(group, 'vars');
    if (isObject(vars)) Object.assign(known.vars, vars);
    for (const child of asList(at(group, 'children'))) known.children.add(asText(child) ?? '');
    for (const host of asList(at(group, 'hosts'))) {
      const hostName = asText(host);
      const own = hostName && at(document, '_meta', 'hostvars', hostName);
      if (hostName) addHost(tree, name, hostName, isObject(own) ? own : {});
    }
  }
  return tree;
}
