/** `kinit upgrade plan --inventory`: what an upgrade would change on all hosts, seen from the workstation; nothing goes to a host. */
import type { Node } from '../../machinery/api/types.ts';
import { createClient } from '../../machinery/client/client.ts';
import { nodes as nodeType } from '../../machinery/client/resources.ts';
import { kinitVersion, kubernetesVersion } from '../../machinery/version.ts';
import { openTunnel } from '../access/tunnel.ts';
import { bundlePaths } from '../config/paths.ts';
import { asKinitError } from '../errors.ts';
import { limitHosts } from '../inventory/read-inventory.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { healthFindings } from '../phases/upgrade-preflight.ts';
import type { BundleVersion } from '../upgrade/bundle-folders.ts';
import { storedImageSettings } from '../upgrade/configuration.ts';
import { observeForUpgrade } from '../upgrade/observe.ts';
import { planUpgrade, type UpgradePlan } from '../upgrade/plan.ts';
import { isReady } from './cluster.ts';
import { connectHost } from './connect-host.ts';
import { gatherFacts, type HostFacts } from './facts.ts';
import type { InventorySource } from './on-control-plane.ts';
import { isControlPlane, openInventory } from './plan.ts';
import { isDone } from './upgrade-order.ts';

export interface PlannedHost {
  host: string;
  role: 'control-plane' | 'worker';
  /** Of the bundle that it runs from: `v0.1.0`. */
  kinit: string;
  kubelet: string;
  state: string;
}

export interface FleetUpgradePlan extends UpgradePlan {
  hosts: PlannedHost[];
}

type Seen = Pick<HostFacts, 'currentBundle' | 'isUpgraded'> | { error: string };

/** What an upgrade has to do with a host. */
export function plannedHost(
  { name, role }: { name: string; role: PlannedHost['role'] },
  seen: Seen,
  node: Node | undefined,
): PlannedHost {
  const kubelet = node?.status?.nodeInfo?.kubeletVersion ?? '';
  if ('error' in seen) return { host: name, role, kinit: '', kubelet, state: `cannot be looked at: ${seen.error}` };
  const { currentBundle = '' } = seen;
  const kinit = currentBundle.slice(currentBundle.lastIndexOf('/') + 1);
  const work = () => {
    if (!node) return 'is no node of the cluster';
    if (isDone(seen, bundlePaths.prefix, node, kubernetesVersion)) return 'up to date';
    return currentBundle === bundlePaths.prefix ? 'to be finished' : 'to be upgraded';
  };
  return {
    host: name,
    role,
    kinit,
    kubelet,
    state: `${work()}${node && !isReady(node) ? '; its node is not Ready' : ''}`,
  };
}

async function look(host: InventoryHost, signal: AbortSignal): Promise<Seen> {
  try {
    const connection = await connectHost(host, signal);
    try {
      return await gatherFacts(connection, host, signal);
    } finally {
      connection.close();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    return { error: asKinitError(thrown).message };
  }
}

export interface FleetPlanOptions {
  source: InventorySource;
  etcdUpgrade?: boolean;
  allowExperimental?: boolean;
  allowReleaseCandidate?: boolean;
  signal: AbortSignal;
  notice(message: string): void;
}

export async function upgradePlanOfFleet(options: FleetPlanOptions): Promise<FleetUpgradePlan> {
  const { source, signal, notice, ...rules } = options;
  const { inventory: inventoryPath, limit, hostKeyChecking, acceptHostKeys, askPassphrase } = source;
  const checking = hostKeyChecking ?? (acceptHostKeys ? ('accept-new' as const) : undefined);
  const inventory = await openInventory({
    inventoryPath,
    ...(limit ? { limit } : {}),
    hostKeyChecking: checking,
    askPassphrase,
  });
  const hosts = limitHosts(inventory, limit);
  const seen = await Promise.all(hosts.map((host) => look(host, signal)));
  // Through any control plane, whichever hosts are asked for.
  const { limit: _, ...whole } = source;
  const tunnel = await openTunnel({ source: whole, signal, notice });
  const client = createClient(restConfigOf(tunnel.kubeconfig, 'the kubeconfig of the tunnel'));
  try {
    const [state, { items: nodes }] = await Promise.all([
      observeForUpgrade(client, signal),
      client.resource(nodeType).list({ signal }),
    ]);
    const planned = hosts.map((host, index) => {
      const role = isControlPlane(host) ? ('control-plane' as const) : ('worker' as const);
      const node = nodes.find(({ metadata }) => metadata?.name === host.nodeName);
      return plannedHost({ name: host.name, role }, seen[index]!, node);
    });
    const to: BundleVersion = { kinit: kinitVersion, kubernetes: kubernetesVersion, folder: bundlePaths.prefix };
    const behind = planned.find(({ state: is }) => !is.startsWith('up to date'));
    const from = behind ? { ...to, kinit: behind.kinit, folder: `${bundlePaths.parent}/${behind.kinit}` } : to;
    const images = storedImageSettings(state.stored.clusterConfiguration);
    const plan = planUpgrade({ state, from, to, images, manifests: [], ...rules });
    return { ...plan, hosts: planned, findings: [...healthFindings(state), ...plan.findings] };
  } finally {
    client.close();
    await tunnel.close();
  }
}
