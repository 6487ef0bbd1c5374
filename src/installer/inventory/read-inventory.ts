/** Reads an inventory file: environment variables, schema, defaults, and what no schema can see. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { defaultNetworking } from '../config/defaults.ts';
import { nearestName } from '../config/nearest.ts';
import { describeIssues, formatPlace, invalidConfig } from '../config/read-config.ts';
import { validateNetworking } from '../config/validate.ts';
import { validateRegistries } from '../config/validate-runtime.ts';
import { type FieldPath, parseYaml } from '../config/yaml.ts';
import { KinitError } from '../errors.ts';
import { type PlacedHost, placeHosts } from './groups.ts';
import { type InventoryDocument, inventoryDocument } from './schema.ts';
import { listOf, targetOf } from './ssh-target.ts';
import type { Inventory, InventoryHost, SshLookup } from './types.ts';

/** @param ssh what the user's SSH configuration says of an address, for what the inventory leaves open */
export async function readInventory(
  path: string,
  env: NodeJS.ProcessEnv = process.env,
  ssh?: SshLookup,
): Promise<Inventory> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read the inventory ${path}: ${error.code}`, {
      advice: 'check the path given with --inventory',
    });
  });
  return parseInventory(text, path, env, ssh);
}

type Place = (path: FieldPath) => string;

/** @throws KinitError Validation that lists every mistake of the file, one line each */
export function parseInventory(
  text: string,
  path: string,
  env: NodeJS.ProcessEnv = {},
  ssh: SshLookup = () => ({}),
): Inventory {
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
  const placed = placeHosts(parsed.data);
  mistakes.push(...placed.mistakes.map(({ path: field, message }) => `${place(field)}: ${message}`));
  const hosts = placed.hosts.map((host) => resolveHost(host, dirname(path), ssh));
  if (hosts.length) mistakes.push(...hostMistakes(parsed.data, placed.hosts, hosts, place));
  if (mistakes.length) throw invalidConfig(mistakes);
  const { bundle, cluster = {}, endpoint, addons, kubelet, kubeProxy, parallel } = parsed.data;
  return {
    path,
    bundleFrom: bundle?.from ?? 'auto',
    cluster,
    ...(endpoint ? { endpoint } : {}),
    ...(addons ? { addons } : {}),
    ...(kubelet ? { kubelet } : {}),
    ...(kubeProxy ? { kubeProxy } : {}),
    ...(parallel ? { parallel } : {}),
    hosts,
  };
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

function resolveHost({ merged, groups }: PlacedHost, folder: string, ssh: SshLookup): InventoryHost {
  const connection = merged.connection ?? 'ssh';
  const local = connection === 'local';
  const given = merged.address ?? (local ? '127.0.0.1' : merged.name);
  const { bastion: jump, proxyCommand, ...target } = targetOf(given, merged, folder, local ? () => ({}) : ssh);
  const bastion = merged.bastion ? targetOf(merged.bastion.address, merged.bastion, folder, ssh) : jump;
  // What the inventory says wins over the SSH configuration.
  const byCommand = proxyCommand !== undefined && (merged.proxyCommand !== undefined || !merged.bastion);
  return {
    ...target,
    name: merged.name,
    connection,
    sudo: merged.sudo ?? (target.user === 'root' ? 'none' : 'passwordless'),
    ...(byCommand ? { proxyCommand } : bastion ? { bastion } : {}),
    roles: merged.roles ?? [],
    groups,
    labels: merged.labels ?? {},
    annotations: merged.annotations ?? {},
    ...(merged.taints ? { taints: merged.taints } : {}),
    nodeName: merged.nodeName ?? merged.name,
    settings: merged.settings ?? {},
  };
}

function hostMistakes(
  document: InventoryDocument,
  placed: readonly PlacedHost[],
  hosts: InventoryHost[],
  place: Place,
): string[] {
  const mistakes: string[] = [];
  const at = (index: number, field: string) => place([...(placed[index]?.path ?? []), field]);
  const unique = (what: string, field: string, valueIn: (host: InventoryHost) => string) => {
    const seen = new Map<string, string>();
    for (const [index, host] of hosts.entries()) {
      const value = valueIn(host);
      const other = seen.get(value);
      if (other === undefined) seen.set(value, host.name);
      else mistakes.push(`${at(index, field)}: the ${what} "${value}" is also that of host ${other}`);
    }
  };
  unique('name', 'name', ({ name }) => name);
  unique('address', 'address', ({ address, port, bastion }) => {
    const through = bastion ? ` through ${bastion.address}` : '';
    return `${address}${port === 22 ? '' : `:${port}`}${through}`;
  });
  unique('node name', 'nodeName', ({ nodeName }) => nodeName);
  for (const [index, host] of hosts.entries()) {
    validateRegistries(host.settings.registries ?? [], (_, message) =>
      mistakes.push(`${at(index, 'settings')}: ${message}`),
    );
    if (host.bastion && host.connection === 'local')
      mistakes.push(`${at(index, 'bastion')}: a local host has no bastion`);
    if (placed[index]?.merged.bastion && placed[index].merged.proxyCommand)
      mistakes.push(`${at(index, 'proxyCommand')}: a host has a bastion or a proxyCommand, not both`);
    for (const key of listOf(placed[index]?.own.hostKeys)) {
      if (!/^(SHA256:\S+|(@cert-authority )?(ssh|ecdsa|sk-)\S+ [A-Za-z0-9+/=]+.*)$/.test(key))
        mistakes.push(
          `${at(index, 'hostKeys')}: "${key}" is no public key (ssh-ed25519 AAAA…), fingerprint (SHA256:…) or @cert-authority with its public key`,
        );
    }
  }
  const first = hosts.find(({ roles }) => roles.includes('control-plane'));
  // What is wrong with the cluster's own settings is told before any host is reached.
  if (document.cluster?.networking) {
    const networking = { ...defaultNetworking, ...document.cluster.networking };
    validateNetworking(networking, first?.address ?? '', (field, message) =>
      mistakes.push(`${place(['cluster', 'networking', field])}: ${message}`),
    );
  }
  if (!first) mistakes.push(`${place(['hosts'])}: no host has the role control-plane`);
  return mistakes;
}

/**
 * The hosts that `--limit` names, by name, role or group; all without it.
 * @throws KinitError Usage for a name that is none of them
 */
export function limitHosts(inventory: Inventory, limit: readonly string[] | undefined): InventoryHost[] {
  if (!limit?.length) return inventory.hosts;
  const namesOf = ({ name, roles, groups }: InventoryHost): string[] => [name, ...roles, ...groups];
  for (const word of limit) {
    if (inventory.hosts.some((host) => namesOf(host).includes(word))) continue;
    const near = nearestName(word, [...inventory.hosts.flatMap(namesOf), 'control-plane', 'worker']);
    throw new KinitError('Usage', `--limit ${word}: no host of ${inventory.path} has this name, role or group`, {
      advice: near ? `did you mean "${near}"?` : `it has ${inventory.hosts.map(({ name }) => name).join(', ')}`,
    });
  }
  return inventory.hosts.filter((host) => namesOf(host).some((name) => limit.includes(name)));
}
