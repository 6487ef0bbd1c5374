/** What a command over an inventory is about to do: the hosts, their settings, and where the cluster is. */
import { isIP } from 'node:net';
import { joinHostPort, splitHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { readConfigFile } from '../config/read-config.ts';
import { KinitError } from '../errors.ts';
import { limitHosts, readInventory } from '../inventory/read-inventory.ts';
import type { Inventory, InventoryHost, SshTarget } from '../inventory/types.ts';
import { type GivenDocuments, type JoinSecret, ownAddress } from './documents.ts';
import type { FleetSink } from './events.ts';
import type { Member } from './fleet.ts';
import { userSshConfig } from './ssh/user-config.ts';

export interface FleetCommandOptions {
  inventoryPath: string;
  limit?: string[];
  bundlePath: string;
  /** Unknown host keys are taken and remembered. */
  acceptHostKeys?: boolean;
  /** A `--config` file of the workstation. */
  configPath?: string;
  /** Flags that go to kinit on the hosts as they are; none of them secret. */
  arguments?: string[];
  dryRun?: boolean;
  signal: AbortSignal;
  events: FleetSink;
  env?: NodeJS.ProcessEnv;
}

export interface Plan {
  inventory: Inventory;
  hosts: InventoryHost[];
  given: GivenDocuments;
}

export async function planOf(options: FleetCommandOptions): Promise<Plan> {
  const inventory = await readInventory(options.inventoryPath, options.env, await userSshConfig());
  if (options.acceptHostKeys) {
    for (const host of inventory.hosts) {
      for (let target: SshTarget | undefined = host; target; target = target.bastion) target.acceptHostKeys = true;
    }
  }
  const given = options.configPath ? (await readConfigFile(options.configPath)).documents : {};
  return { inventory, hosts: limitHosts(inventory, options.limit), given };
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
