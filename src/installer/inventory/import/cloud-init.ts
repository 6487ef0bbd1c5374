/**
 * cloud-init: user-data, meta-data and network-config of one machine or of several (documents of a stream, items of a
 * list, entries of a mapping, folders of NoCloud seeds).
 */
import { parseYaml } from '../../config/yaml.ts';
import { loginOfImage } from './login-names.ts';
import {
  asList,
  asText,
  at,
  type Imported,
  type ImportedHost,
  type ImportFile,
  isObject,
  unreadable,
} from './types.ts';

type Facts = Pick<ImportedHost, 'address' | 'user'> & { name?: string; roles: string[] };

export function importCloudInit(files: readonly ImportFile[]): Imported {
  const hosts: ImportedHost[] = [];
  // Files in one folder (user-data, meta-data, network-config) speak of one machine.
  const folders = Map.groupBy(files, ({ name }) => (isSeedFile(name) ? name.replace(/[^/]*$/, '') : name));
  for (const [place, parts] of folders) {
    const documents = parts.flatMap((file) => parseYaml(file.text, file.name).map(({ value }) => value));
    const seeds = parts.every(({ name }) => isSeedFile(name));
    const folder = place.replace(/\/$/, '').split('/').at(-1);
    if (seeds) hosts.push(...hostFrom(documents.map(factsOf), folder || undefined));
    else for (const document of documents) hosts.push(...listed(document));
  }
  if (!hosts.length) throw unreadable(files[0]?.name ?? '', 'names no host: neither hostname, fqdn nor local-hostname');
  const nameless = hosts.filter(({ address }) => !address).map(({ name }) => name);
  return {
    source: 'cloud-init',
    hosts,
    notes: nameless.length ? [`Without an address, reached by name: ${nameless.join(', ')}.`] : [],
  };
}

export const isSeedFile = (path: string): boolean => /(^|\/)(user-data|meta-data|network-config)(\.ya?ml)?$/.test(path);

function listed(document: unknown): ImportedHost[] {
  if (Array.isArray(document)) return document.flatMap((item) => hostFrom([factsOf(item)]));
  if (!isObject(document)) return [];
  const own = factsOf(document);
  if (own.name) return hostFrom([own]);
  const below = document['hosts'] ?? document['nodes'] ?? document['instances'] ?? document['vms'] ?? document;
  if (Array.isArray(below)) return listed(below);
  if (!isObject(below)) return [];
  return Object.entries(below).flatMap(([name, item]) => (isObject(item) ? hostFrom([factsOf(item)], name) : []));
}

function hostFrom(facts: Facts[], otherwise?: string): ImportedHost[] {
  const name = facts.map((fact) => fact.name).find(Boolean) ?? otherwise;
  if (!name) return [];
  const address = facts.map((fact) => fact.address).find(Boolean);
  const user = facts.map((fact) => fact.user).find(Boolean);
  return [
    {
      name,
      groups: facts.flatMap(({ roles }) => roles),
      ...(address ? { address } : {}),
      ...(user ? { user } : {}),
    },
  ];
}

function factsOf(document: unknown): Facts {
  const nested = ['user-data', 'user_data', 'meta-data', 'meta_data', 'network-config', 'network_config', 'network']
    .map((key) => at(document, key))
    .filter((value) => isObject(value) || typeof value === 'string')
    .map((value) => (typeof value === 'string' ? parseYaml(value, 'user-data')[0]?.value : value))
    .map(factsOf);
  const first = (...keys: string[]) => keys.map((key) => asText(at(document, key))).find(Boolean);
  const pick = (field: 'name' | 'address' | 'user') => nested.map((facts) => facts[field]).find(Boolean);
  const name = first('local-hostname', 'local_hostname', 'hostname', 'fqdn', 'name') ?? pick('name');
  const address =
    first('address', 'ip', 'ip_address', 'ipv4', 'public-ipv4', 'local-ipv4')?.replace(/\/\d+$/, '') ??
    networkAddress(document) ??
    pick('address');
  const user = userOf(document) ?? pick('user') ?? loginOfImage(first('image', 'distro'), 'libvirt');
  const roles = ['role', 'roles', 'group'].flatMap((key) => {
    const found = at(document, key);
    return Array.isArray(found) ? asList(found).flatMap((item) => asText(item) ?? []) : (asText(found) ?? []);
  });
  return { ...(name ? { name } : {}), ...(address ? { address } : {}), ...(user ? { user } : {}), roles };
}

/** The first user who may become root, or `system_info`'s, or `user`. */
function userOf(document: unknown): string | undefined {
  const users = asList(at(document, 'users')).filter(isObject);
  const able = users.find((user) => user['sudo'] !== undefined && user['sudo'] !== false && user['name'] !== undefined);
  return (
    asText(able?.['name']) ??
    asText(at(document, 'user', 'name')) ??
    asText(at(document, 'user')) ??
    asText(at(document, 'system_info', 'default_user', 'name'))
  );
}

/** Netplan (version 2) and version 1 of the network configuration: the first static address. */
function networkAddress(document: unknown): string | undefined {
  const ethernets = at(document, 'ethernets');
  const second = isObject(ethernets) ? Object.values(ethernets).flatMap((nic) => asList(at(nic, 'addresses'))) : [];
  const first = asList(at(document, 'config')).flatMap((nic) =>
    asList(at(nic, 'subnets')).flatMap((subnet) => (at(subnet, 'address') as string | undefined) ?? []),
  );
  return [...second, ...first].map((address) => asText(address)?.replace(/\/\d+$/, '')).find(Boolean);
}
