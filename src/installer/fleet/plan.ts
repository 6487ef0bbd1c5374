/** What a command over an inventory is about to do: the hosts, their settings, and where the cluster is. */
import { isIP } from 'node:net';
import { joinHostPort, splitHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { overlay } from '../config/overlay.ts';
import { readConfigFile } from '../config/read-config.ts';
import type { OpenDocument } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { limitHosts, readInventory } from '../inventory/read-inventory.ts';
import type { BundleSource, HostKeyChecking, Inventory, InventoryHost, SshTarget } from '../inventory/types.ts';
import { configurationWarnings } from '../inventory/warnings.ts';
import { type GivenDocuments, type JoinSecret, ownAddress } from './documents.ts';
import type { FleetSink } from './events.ts';
import type { Member } from './fleet.ts';
import { type AskPassphrase, askPassphrases } from './ssh/passphrases.ts';
import { userSshConfig } from './ssh/user-config.ts';

export interface InventoryOptions {
  inventoryPath: string;
  limit?: string[];
  /** Instead of what the inventory says. */
  hostKeyChecking?: HostKeyChecking | undefined;
  askPassphrase?: AskPassphrase | undefined;
  warn?(hosts: string, message: string): void;
  env?: NodeJS.ProcessEnv;
}

export interface FleetCommandOptions extends InventoryOptions {
  /** Absent: for commands that bring no bundle. */
  bundlePath?: string;
  /** Instead of what the inventory says. */
  bundleFrom?: BundleSource;
  /** A `--config` file of the workstation. */
  configPath?: string;
  /** Flags that go to kinit on the hosts as they are; none of them secret. */
  arguments?: string[];
  dryRun?: boolean;
  /** What was set once and is not in the inventory any more goes. */
  prune?: boolean;
  /** On so many hosts at once, instead of what the inventory says. */
  parallel?: number;
  /** How long pods get to leave a node that has to be drained; Go's notation. */
  drainTimeout?: string;
  signal: AbortSignal;
  events: FleetSink;
}

/** The inventory with what the command line says of it, and the keys of its hosts unlocked. */
export async function openInventory(options: InventoryOptions): Promise<Inventory> {
  const { env = process.env, hostKeyChecking } = options;
  const inventory = await readInventory(options.inventoryPath, env, await userSshConfig());
  const hosts = inventory.hosts.filter(({ connection }) => connection === 'ssh');
  for (const host of hostKeyChecking ? hosts : []) {
    for (let target: SshTarget | undefined = host; target; target = target.bastion) {
      target.hostKeyChecking = hostKeyChecking as HostKeyChecking;
    }
  }
  for (const [message, names] of configurationWarnings(hosts)) options.warn?.(names.join(', '), message);
  if (options.askPassphrase) {
    const asked = limitHosts(inventory, options.limit).filter((host) => hosts.includes(host));
    await askPassphrases(asked, env, options.askPassphrase);
  }
  return inventory;
}

export interface Plan {
  inventory: Inventory;
  hosts: InventoryHost[];
  given: GivenDocuments;
}

export async function planOf(options: FleetCommandOptions): Promise<Plan> {
  const warn = (host: string, message: string) =>
    options.events({ type: 'warning', time: new Date().toISOString(), host, message });
  const inventory = await openInventory({ warn, ...options });
  const given = options.configPath ? (await readConfigFile(options.configPath)).documents : {};
  return { inventory, hosts: limitHosts(inventory, options.limit), given: withComponents(given, inventory) };
}

/** The inventory's own fields win over those of the file. */
function withComponents(given: GivenDocuments, { kubelet, kubeProxy }: Inventory): GivenDocuments {
  const both = (file: OpenDocument | undefined, own: OpenDocument | undefined) =>
    file || own ? overlay(file ?? {}, own ?? {}) : undefined;
  const KubeletConfiguration = both(given.KubeletConfiguration, kubelet);
  const KubeProxyConfiguration = both(given.KubeProxyConfiguration, kubeProxy);
  return { ...given, KubeletConfiguration, KubeProxyConfiguration } as GivenDocuments;
}

export const isControlPlane = ({ roles }: InventoryHost) => roles.includes('control-plane');

/** In the inventory's order, whether limited to or not. */
export const controlPlanesOf = ({ inventory }: Plan): InventoryHost[] => inventory.hosts.filter(isControlPlane);

/** The first control plane of the inventory, whether limited to or not. */
export function controlPlaneOf(plan: Plan): InventoryHost {
  const [first] = controlPlanesOf(plan);
  if (first) return first;
  throw new KinitError('Validation', `${plan.inventory.path}: no host has the role control-plane`);
}

/** The API server as the workstation reaches it: by the inventory's address when the host does not know that one itself. */
export function serverFor({ host, facts }: Member, { inventory, given }: Plan): string | undefined {
  if (host.connection === 'local' || ownAddress(host, facts)) return undefined;
  if (inventory.cluster.controlPlaneEndpoint ?? given.ClusterConfiguration?.controlPlaneEndpoint) return undefined;
  if ((inventory.endpoint ?? given.HostConfiguration?.endpoint)?.virtualIP) return undefined;
  const port = given.InitConfiguration?.localAPIEndpoint?.bindPort ?? defaultBindPort;
  return `https://${isIP(host.address) === 6 ? `[${host.address}]` : host.address}:${port}`;
}

/** From `kinit join <endpoint> --token …`. */
export function secretOf(
  endpoint: string | undefined,
  token: string | undefined,
  hashes: string[] | undefined,
): JoinSecret | undefined {
  if (!endpoint && !token) return undefined;
  if (!endpoint || !token || !hashes?.length) {
    throw new KinitError(
      'Usage',
      'to join another cluster, give the endpoint, --token and --discovery-token-ca-cert-hash; without them the control plane of the inventory is asked',
    );
  }
  const parsed = splitHostPort(endpoint);
  const apiServerEndpoint = parsed && !parsed.port ? joinHostPort(parsed.host, defaultBindPort) : endpoint;
  return { apiServerEndpoint, token, caCertHashes: hashes };
}
