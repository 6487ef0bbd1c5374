/** Every host of an inventory with what `defaults` and its groups say for it. */
import { nearestName } from '../config/nearest.ts';
import type { FieldPath } from '../config/yaml.ts';
import type { HostDocument, InventoryDocument, SharedDocument } from './schema.ts';

export interface PlacedHost {
  /** Where the file defines it. */
  path: FieldPath;
  groups: string[];
  /** Its own fields, over those of its groups (a later group over an earlier one), over the defaults. */
  merged: HostDocument;
  own: HostDocument;
}

export interface PlacedHosts {
  hosts: PlacedHost[];
  mistakes: { path: FieldPath; message: string }[];
}

/** `over` wins field by field; labels, annotations and settings are added together. */
export function mergeShared<T extends SharedDocument>(under: SharedDocument, over: T): T {
  const labels = { ...under.labels, ...over.labels };
  const annotations = { ...under.annotations, ...over.annotations };
  const settings = { ...under.settings, ...over.settings };
  const network = { ...under.settings?.network, ...over.settings?.network };
  const sysctl = { ...under.settings?.sysctl, ...over.settings?.sysctl };
  return {
    ...under,
    ...over,
    ...(under.labels || over.labels ? { labels } : {}),
    ...(under.annotations || over.annotations ? { annotations } : {}),
    ...(under.settings || over.settings
      ? {
          settings: {
            ...settings,
            ...(Object.keys(network).length ? { network } : {}),
            ...(Object.keys(sysctl).length ? { sysctl } : {}),
          },
        }
      : {}),
  };
}

export function placeHosts(document: InventoryDocument): PlacedHosts {
  const mistakes: PlacedHosts['mistakes'] = [];
  const defined: { path: FieldPath; own: HostDocument }[] = [];
  const members = new Map<string, string[]>();
  const groups = Object.entries(document.groups ?? {});
  for (const [index, own] of (document.hosts ?? []).entries()) defined.push({ path: ['hosts', index], own });
  for (const [name, { hosts = [] }] of groups) {
    for (const [index, host] of hosts.entries()) {
      if (typeof host !== 'string') defined.push({ path: ['groups', name, 'hosts', index], own: host });
      const hostName = typeof host === 'string' ? host : host.name;
      members.set(hostName, [...(members.get(hostName) ?? []), name]);
    }
  }
  const names = defined.map(({ own }) => own.name);
  for (const [name, { hosts = [] }] of groups) {
    for (const [index, host] of hosts.entries()) {
      if (typeof host !== 'string' || names.includes(host)) continue;
      const near = nearestName(host, names);
      const hint = near ? `; did you mean "${near}"?` : '';
      mistakes.push({ path: ['groups', name, 'hosts', index], message: `no host is named "${host}"${hint}` });
    }
  }
  if (!defined.length) mistakes.push({ path: [], message: 'Inventory.hosts: names no host' });
  const hosts = defined.map(({ path, own }): PlacedHost => {
    const of = members.get(own.name) ?? [];
    let under: SharedDocument = document.defaults ?? {};
    let roles = own.roles;
    for (const name of of) {
      const { defaults, roles: given } = document.groups?.[name] ?? {};
      if (defaults) under = mergeShared(under, defaults);
      if (given && !own.roles) roles = [...new Set([...(roles ?? []), ...given])];
    }
    if (!roles) {
      const message = `host "${own.name}" has no roles: control-plane, worker, or both`;
      mistakes.push({ path, message });
    }
    return { path, groups: of, own, merged: { ...mergeShared(under, own), roles: roles ?? ['worker'] } };
  });
  return { hosts, mistakes };
}
