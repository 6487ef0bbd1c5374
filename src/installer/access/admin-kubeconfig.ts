/** The administrator's kubeconfig of a cluster: from this host, or from a control plane over SSH. */
import { isIP } from 'node:net';
import { joinHostPort } from '../config/cidr.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { connectFirst, controlPlanesIn, type InventorySource } from '../fleet/on-control-plane.ts';
import { type Host, readText } from '../host/host.ts';
import { type Kubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { readApiServer } from './api-server.ts';

export interface FoundKubeconfig {
  kubeconfig: Kubeconfig;
  /** The host that it is from. */
  host: string;
}

export async function ownKubeconfig(host: Host, server?: string): Promise<FoundKubeconfig> {
  const path = kubeconfigPaths.admin;
  const text = await readText(host, path);
  if (text === undefined) {
    throw new KinitError('Validation', `there is no ${path} on this machine`, {
      advice: 'run this on a control plane, or name the machines with --inventory',
    });
  }
  const kubeconfig = parseKubeconfig(text, path);
  return { kubeconfig: server ? withServer(kubeconfig, () => server) : kubeconfig, host: 'this machine' };
}

/** @param server where the workstation reaches the API server, when it is said */
export async function fetchedKubeconfig(
  source: InventorySource,
  server: string | undefined,
  signal: AbortSignal,
): Promise<FoundKubeconfig> {
  let kubeconfig: Kubeconfig | undefined;
  let addresses: string[] = [];
  const { host, connection } = await connectFirst(await controlPlanesIn(source), signal, async (candidate) => {
    const api = await readApiServer(candidate, signal);
    ({ kubeconfig } = api);
    const own = await candidate.exec('ip -o addr show scope global 2>/dev/null', { signal });
    addresses = [...own.stdout.matchAll(/ inet6? ([^/ ]+)/g)].map(([, address = '']) => address);
    return undefined;
  });
  connection.close();
  if (!kubeconfig) throw new Error('connectFirst has judged no host');
  const found = { kubeconfig, host: host.name };
  if (server) return { ...found, kubeconfig: withServer(kubeconfig, () => server) };
  // Behind NAT the host's own address leads nowhere; the certificate names the inventory's, too.
  const isBehind =
    host.connection === 'ssh' && !host.bastion && isIP(host.address) && !addresses.includes(host.address);
  const outside = (given: string) => {
    const { hostname, port } = new URL(given);
    const own = hostname.replace(/^\[|\]$/g, '');
    return isBehind && addresses.includes(own) ? `https://${joinHostPort(host.address, Number(port || 443))}` : given;
  };
  return { ...found, kubeconfig: withServer(kubeconfig, outside) };
}

function withServer(kubeconfig: Kubeconfig, serverFor: (given: string) => string): Kubeconfig {
  const clusters = kubeconfig.clusters.map(({ name, cluster }) => ({
    name,
    cluster: { ...cluster, server: serverFor(cluster.server) },
  }));
  return { ...kubeconfig, clusters };
}
