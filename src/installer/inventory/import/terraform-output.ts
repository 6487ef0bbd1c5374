/** `terraform output -json`: outputs are free in their form; addresses, lists and maps of addresses and of machines are understood. */
import { isIP } from 'node:net';
import { asText, type ImportedHost, isObject, type Json, type JsonObject } from './types.ts';

const addressFields = [
  'public_ip',
  'ansible_host',
  'address',
  'ipv4_address',
  'ip',
  'ip_address',
  'host',
  'private_ip',
];
const nameFields = ['name', 'hostname', 'host_name', 'fqdn'];
const userFields = ['user', 'username', 'ssh_user', 'admin_username'];
const roleFields = ['role', 'roles', 'group', 'groups', 'type'];

export function outputHosts(document: JsonObject): { hosts: ImportedHost[]; notes: string[] } {
  const hosts: ImportedHost[] = [];
  const notes: string[] = [];
  for (const [output, content] of Object.entries(document)) {
    if (!isObject(content) || !('value' in content)) continue;
    if (content['sensitive'] === true) {
      notes.push(`The output ${output} is sensitive and was passed over.`);
      continue;
    }
    hosts.push(...hostsIn(output, content['value'] ?? null));
  }
  return { hosts: withUser(hosts, document), notes };
}

const withoutSuffix = (output: string): string =>
  output.replace(
    /[_-]?(public|private|external|internal)?[_-]?(ipv4|ips?|address(es)?|ip_address(es)?|nodes?)$/i,
    '',
  ) || output;

function hostsIn(output: string, value: Json): ImportedHost[] {
  const group = withoutSuffix(output);
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => oneHost(`${group}-${index + 1}`, item, group) ?? []);
  }
  if (isObject(value)) {
    const itself = oneHost(group, value, group);
    if (itself) return [itself];
    return Object.entries(value).flatMap(([name, item]) => {
      // A map of lists: group → addresses.
      if (Array.isArray(item)) return hostsIn(name, item);
      return oneHost(name, item, group) ?? [];
    });
  }
  const single = oneHost(group, value, group);
  return single ? [single] : [];
}

function oneHost(name: string, value: Json, group: string): ImportedHost | undefined {
  const text = asText(value);
  if (text !== undefined) return isIP(text) ? { name, groups: [group], address: text } : undefined;
  if (!isObject(value)) return undefined;
  const first = (fields: string[]) => fields.map((field) => asText(value[field])).find((found) => found !== undefined);
  const address = first(addressFields);
  if (address === undefined) return undefined;
  const user = first(userFields);
  const port = Number(value['port'] ?? value['ssh_port'] ?? 22);
  const privateAddress = asText(value['private_ip']);
  const roles = roleFields.flatMap((field) => {
    const found = value[field];
    return Array.isArray(found) ? found.flatMap((item) => asText(item) ?? []) : (asText(found) ?? []);
  });
  return {
    name: first(nameFields) ?? name,
    groups: roles.length ? roles : [group],
    address,
    ...(port !== 22 && Number.isInteger(port) ? { port } : {}),
    ...(user ? { user } : {}),
    ...(privateAddress && privateAddress !== address ? { privateAddress } : {}),
  };
}

/** An output of its own may name the user of all machines. */
function withUser(hosts: ImportedHost[], document: JsonObject): ImportedHost[] {
  const user = userFields
    .map((field) => document[field])
    .map((output) => (isObject(output) ? asText(output['value']) : undefined))
    .find((found) => found !== undefined);
  return user ? hosts.map((host) => ({ ...host, user: host.user ?? user })) : hosts;
}
