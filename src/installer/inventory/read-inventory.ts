/** Reads an inventory file: environment variables, schema, defaults, and what no schema can see. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { nearestName } from '../config/nearest.ts';
import { describeIssues, formatPlace, invalidConfig } from '../config/read-config.ts';
import { type FieldPath, parseYaml } from '../config/yaml.ts';
import { KinitError } from '../errors.ts';
import { type InventoryDocument, inventoryDocument } from './schema.ts';
import type { Inventory, InventoryHost, SshTarget } from './types.ts';

export async function readInventory(path: string, env: NodeJS.ProcessEnv = process.env): Promise<Inventory> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read the inventory ${path}: ${error.code}`, {
      advice: 'check the path given with --inventory',
    });
  });
  return parseInventory(text, path, env);
}

type Place = (path: FieldPath) => string;

/** @throws KinitError Validation that lists every mistake of the file, one line each */
export function parseInventory(text: string, path: string, env: NodeJS.ProcessEnv = {}): Inventory {
  const [document, second] = parseYaml(text, path);
  if (!document) throw invalidConfig([`${path}: the inventory is empty`]);
  const place: Place = (field) => formatPlace(path, document, field);
  if (second) throw invalidConfig([`${formatPlace(path, second, [])}: an inventory is one document`]);
  const mistakes: string[] = [];
  const value = expand(document.value, env, [], (field, name) =>
    mistakes.push(`${place(field)}: the environment variable ${name} is not set`),
  );
  const parsed = inventoryDocument.safeParse(value);
  if (!parsed.success) {
    throw invalidConfig([...mistakes, ...describeIssues(parsed.error, inventoryDocument, 'Inventory', place)]);
  }
  const hosts = parsed.data.hosts.map((_, index) => resolveHost(parsed.data, index, dirname(path)));
  mistakes.push(...hostMistakes(parsed.data, hosts, place));
  if (mistakes.length) throw invalidConfig(mistakes);
  return { path, cluster: parsed.data.cluster ?? {}, hosts };
}

/** `${NAME}` and `${NAME:-otherwise}` in any text. */
function expand(
  value: unknown,
  env: NodeJS.ProcessEnv,
  path: FieldPath,
  missing: (path: FieldPath, name: string) => void,
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g, (_, name: string, otherwise?: string) => {
      const found = env[name] || otherwise;
      if (found === undefined) missing(path, name);
      return found ?? '';
    });
  }
  if (Array.isArray(value)) return value.map((item, index) => expand(item, env, [...path, index], missing));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, expand(item, env, [...path, key], missing)]),
  );
}

const listOf = (value: string | string[] | undefined): string[] => (value === undefined ? [] : [value].flat());

/** Paths are relative to the inventory's folder; `~` is the user's home. */
const pathIn = (folder: string, path: string): string =>
  resolve(folder, path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path);

type Login = Partial<Pick<SshTarget, 'port' | 'user' | 'identityFile' | 'passphraseFromEnv' | 'passwordFromEnv'>> & {
  hostKeys?: string | string[] | undefined;
  knownHosts?: string | string[] | undefined;
  acceptHostKeys?: boolean | undefined;
};

function targetOf(address: string, login: { [K in keyof Login]: Login[K] | undefined }, folder: string): SshTarget {
  const { identityFile, passphraseFromEnv, passwordFromEnv } = login;
  const knownHosts = listOf(login.knownHosts).map((path) => pathIn(folder, path));
  return {
    address,
    port: login.port ?? 22,
    user: login.user ?? 'root',
    ...(identityFile ? { identityFile: pathIn(folder, identityFile) } : {}),
    ...(passphraseFromEnv ? { passphraseFromEnv } : {}),
    ...(passwordFromEnv ? { passwordFromEnv } : {}),
    hostKeys: listOf(login.hostKeys),
    knownHosts: knownHosts.length ? knownHosts : [`${homedir()}/.ssh/known_hosts`, '/etc/ssh/ssh_known_hosts'],
    acceptHostKeys: login.acceptHostKeys ?? false,
  };
}

function resolveHost(document: InventoryDocument, index: number, folder: string): InventoryHost {
  const host = document.hosts[index]!;
  const defaults = document.defaults ?? {};
  const merged = { ...defaults, ...host };
  const connection = merged.connection ?? 'ssh';
  const target = targetOf(host.address ?? (connection === 'local' ? '127.0.0.1' : host.name), merged, folder);
  const { bastion, taints } = merged;
  return {
    ...target,
    name: host.name,
    connection,
    sudo: merged.sudo ?? (target.user === 'root' ? 'none' : 'passwordless'),
    ...(bastion ? { bastion: targetOf(bastion.address, bastion, folder) } : {}),
    roles: host.roles,
    labels: { ...defaults.labels, ...host.labels },
    ...(taints ? { taints } : {}),
    nodeName: host.nodeName ?? host.name,
    settings: {
      ...defaults.settings,
      ...host.settings,
      ...(defaults.settings?.network || host.settings?.network
        ? { network: { ...defaults.settings?.network, ...host.settings?.network } }
        : {}),
    },
  };
}

function hostMistakes(document: InventoryDocument, hosts: InventoryHost[], place: Place): string[] {
  const mistakes: string[] = [];
  const unique = (what: string, field: string, valueIn: (host: InventoryHost) => string) => {
    const seen = new Map<string, string>();
    for (const [index, host] of hosts.entries()) {
      const value = valueIn(host);
      const other = seen.get(value);
      if (other === undefined) seen.set(value, host.name);
      else mistakes.push(`${place(['hosts', index, field])}: the ${what} "${value}" is also that of host ${other}`);
    }
  };
  unique('name', 'name', ({ name }) => name);
  unique('address', 'address', ({ address, port, bastion }) => {
    const through = bastion ? ` through ${bastion.address}` : '';
    return `${address}${port === 22 ? '' : `:${port}`}${through}`;
  });
  unique('node name', 'nodeName', ({ nodeName }) => nodeName);
  for (const [index, host] of hosts.entries()) {
    if (host.bastion && host.connection === 'local')
      mistakes.push(`${place(['hosts', index, 'bastion'])}: a local host has no bastion`);
    for (const key of listOf(document.hosts[index]?.hostKeys)) {
      if (!/^(SHA256:\S+|(ssh|ecdsa|sk-)\S+ [A-Za-z0-9+/=]+.*)$/.test(key))
        mistakes.push(
          `${place(['hosts', index, 'hostKeys'])}: "${key}" is neither a public key (ssh-ed25519 AAAA…) nor a fingerprint (SHA256:…)`,
        );
    }
  }
  if (!hosts.some(({ roles }) => roles.includes('control-plane')))
    mistakes.push(`${place(['hosts'])}: no host has the role control-plane`);
  return mistakes;
}

/**
 * The hosts that `--limit` names, by name or role; all without it.
 * @throws KinitError Usage for a name that is neither
 */
export function limitHosts(inventory: Inventory, limit: readonly string[] | undefined): InventoryHost[] {
  if (!limit?.length) return inventory.hosts;
  for (const word of limit) {
    if (inventory.hosts.some(({ name, roles }) => name === word || roles.some((role) => role === word))) continue;
    const near = nearestName(word, [...inventory.hosts.map(({ name }) => name), 'control-plane', 'worker']);
    throw new KinitError('Usage', `--limit ${word}: no host of ${inventory.path} has this name or role`, {
      advice: near ? `did you mean "${near}"?` : `it has ${inventory.hosts.map(({ name }) => name).join(', ')}`,
    });
  }
  return inventory.hosts.filter(
    ({ name, roles }) => limit.includes(name) || roles.some((role) => limit.includes(role)),
  );
}
