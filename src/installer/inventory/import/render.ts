/** Writes imported hosts as an inventory that a person can read on: what all share in `defaults`, comments where something was guessed. */
import { isIP } from 'node:net';
import { guessRoles, isRoleGroup } from './roles.ts';
import type { Imported, ImportedHost } from './types.ts';

export interface RenderOptions {
  /** Where the hosts come from, for the first line. */
  from: string;
  /** The inventory's path, for the advice in its head. */
  out: string;
  controlPlane?: readonly string[];
  /** Makes a path of the source one that is right beside the inventory. */
  rebase?(path: string): string;
}

export interface Rendered {
  text: string;
  nodes: number;
  /** Hosts that were left out, and what could not be taken along. */
  notes: string[];
}

/** A scalar, in double quotes unless it is surely the same text without. */
export function scalar(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  const plain = /^[A-Za-z/~.][\w./~@+-]*$/.test(value) && !/^(true|false|yes|no|on|off|null|y|n|~)$/i.test(value);
  return plain || /^\d+\.\d+\.\d+\.\d+$/.test(value) ? value : JSON.stringify(value);
}

type Flow = string | number | boolean | { [key: string]: Flow };

function flow(value: Flow): string {
  if (typeof value !== 'object') return scalar(value);
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${scalar(key)}: ${flow(item)}`)
    .join(', ')} }`;
}

/** What the inventory says of a host, in the order of its fields. */
function fieldsOf(host: ImportedHost, rebase: (path: string) => string): Map<string, Flow> {
  const fields = new Map<string, Flow>();
  const set = (key: string, value: Flow | undefined) => value !== undefined && fields.set(key, value);
  set('connection', host.connection);
  set('user', host.user);
  set('port', host.port);
  set('identityFile', host.identityFile && rebase(host.identityFile));
  if (host.secrets?.includes('passwordFromEnv')) set('passwordFromEnv', 'SSH_PASSWORD');
  if (host.secrets?.includes('sudo') && host.user !== 'root') set('sudo', { passwordFromEnv: 'SUDO_PASSWORD' });
  if (host.bastion) {
    const { identityFile, ...bastion } = host.bastion;
    set('bastion', { ...bastion, ...(identityFile ? { identityFile: rebase(identityFile) } : {}) });
  }
  set('knownHosts', host.knownHosts && rebase(host.knownHosts));
  set('acceptHostKeys', host.acceptHostKeys);
  return fields;
}

/** A name that is fit for a node; an address becomes a name. */
export function nodeNameOf(name: string): string {
  const word = isIP(name) ? `host-${name.replace(/[.:]+/g, '-')}` : name;
  const cleaned = word
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return cleaned || 'host';
}

function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let free = name;
    for (let count = 2; taken.has(free); count++) free = `${name}-${count}`;
    taken.add(free);
    return free;
  });
}

/** Comments stay on one line, whatever the source had in its names. */
const comment = (text: string): string => `# ${text.replace(/[^\P{C}]+/gu, ' ')}`;

export function renderInventory({ source, hosts, notes }: Imported, options: RenderOptions): Rendered {
  const { nodes, left } = guessRoles(hosts, options.controlPlane);
  const rebase = (path: string) =>
    path.startsWith('/') || path.startsWith('~') || path.startsWith('$') ? path : (options.rebase?.(path) ?? path);
  const names = uniqueNames(nodes.map(({ host }) => nodeNameOf(host.name)));
  const fields = nodes.map(({ host }) => fieldsOf(host, rebase));
  const shared = sharedFields(fields);
  const out = options.out === '-' ? 'FILE' : options.out;
  const remarks = [
    ...notes,
    ...left.map(({ host, because }) => `${host.name} was left out (${because}).`),
    ...(nodes.some(({ host }) => !host.user && host.connection !== 'local')
      ? ['Hosts without a user: kinit logs in as root, or as ~/.ssh/config says.']
      : []),
  ];
  const lines = [
    comment(`Made by kinit inventory import from ${options.from}: ${source}.`),
    comment(`Look at the roles first; then: kinit inventory validate -i ${out}, kinit up -i ${out}`),
    ...remarks.map(comment),
    'apiVersion: kinit.local/v1alpha1',
    'kind: Inventory',
  ];
  if (shared.size) lines.push('defaults:', ...[...shared].map(([key, value]) => `  ${key}: ${flow(value)}`));
  lines.push(
    ...groupLines(
      nodes.map(({ host }) => host),
      names,
    ),
    'hosts:',
  );
  for (const [index, { host, guess }] of nodes.entries()) {
    const name = names[index]!;
    const address = host.connection ? undefined : (host.address ?? (host.name === name ? undefined : host.name));
    const aside = host.privateAddress ? ` ${comment(`privately ${host.privateAddress}`)}` : '';
    lines.push(
      ...(host.notes ?? []).map((note) => `  ${comment(note)}`),
      `  - name: ${scalar(name)}`,
      ...(address ? [`    address: ${scalar(address)}${aside}`] : []),
      `    roles: [${guess.roles.join(', ')}]${guess.because ? ` ${comment(guess.because)}` : ''}`,
      ...[...fields[index]!]
        .filter(([key, value]) => !same(shared.get(key), value))
        .map(([key, value]) => `    ${key}: ${flow(value)}`),
      ...(host.labels ? [`    labels: ${flow(host.labels)}`] : []),
    );
  }
  return { text: `${lines.join('\n')}\n`, nodes: nodes.length, notes: remarks };
}

const same = (a: Flow | undefined, b: Flow | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/** For `defaults`: of each field that all hosts have, the value that most of them have, if there are two such hosts. */
function sharedFields(fields: readonly Map<string, Flow>[]): Map<string, Flow> {
  const shared = new Map<string, Flow>();
  for (const key of fields[0]?.keys() ?? []) {
    const values = fields.map((each) => each.get(key));
    if (key === 'connection' || values.includes(undefined)) continue;
    const counted = values.map((value) => ({ value, count: values.filter((other) => same(value, other)).length }));
    const most = counted.reduce((best, each) => (each.count > best.count ? each : best));
    if (most.value !== undefined && most.count > 1) shared.set(key, most.value);
  }
  return shared;
}

/** Groups that say more than a role, and not the same of all. */
function groupLines(hosts: readonly ImportedHost[], names: readonly string[]): string[] {
  const members = new Map<string, string[]>();
  for (const [index, { groups }] of hosts.entries()) {
    for (const group of groups) {
      if (isRoleGroup(group) || !/^[A-Za-z0-9_.-]+$/.test(group)) continue;
      members.set(group, [...(members.get(group) ?? []), names[index]!]);
    }
  }
  const telling = [...members].filter(([, inside]) => inside.length < hosts.length);
  if (!telling.length) return [];
  return [
    'groups:',
    ...telling.map(([group, inside]) => `  ${scalar(group)}: { hosts: [${inside.map(scalar).join(', ')}] }`),
  ];
}
