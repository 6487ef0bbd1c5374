/** The services of a node that lead to the API servers, in the new version: the balancer, and the virtual address of a control plane. */
import { joinHostPort } from '../config/cidr.ts';
import { loopback } from '../config/local-endpoint.ts';
import { virtualIpUnitPath } from '../config/paths.ts';
import { balancerUnit, ensureBalancer, knownBalancer } from '../endpoint/balancer.ts';
import { ensureVirtualIp, knownVirtualIp, virtualIpUnit } from '../endpoint/virtual-ip.ts';
import type { Changes } from '../host/changes.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Host, readText } from '../host/host.ts';
import { restartFrom } from './services.ts';

export interface EndpointUpgrade {
  changes: Changes;
  facts: Pick<HostFacts, 'canLowerOomScore'>;
  nodeName: string;
  /** Where the bundle lies that they shall run from. */
  folder: string;
  signal: AbortSignal;
}

/** Connections through it are cut, and made anew: the state that it has learnt stays. */
export async function upgradeBalancer({ changes, facts, nodeName, folder, signal }: EndpointUpgrade): Promise<boolean> {
  const known = await knownBalancer(changes.host);
  if (!known) return false;
  const { servers, certificateAuthority } = known;
  const listen = joinHostPort(loopback, known.endpoint.port);
  const restarted = await restartFrom(changes.host, balancerUnit, folder);
  const settings = { listen, servers, certificateAuthority, nodeName, facts };
  return (await ensureBalancer(changes, settings, signal)) || restarted;
}

/** Where it had the address, another control plane has it afterwards. */
export async function upgradeVirtualIp({ changes, facts, nodeName, folder }: EndpointUpgrade): Promise<boolean> {
  const { host } = changes;
  const { virtualIP: address, interface: device } = (await knownVirtualIp(host)) ?? {};
  const server = /--server=(\S+)/.exec((await readText(host, virtualIpUnitPath)) ?? '')?.[1];
  if (!address || !server) return false;
  const restarted = await restartFrom(host, virtualIpUnit, folder);
  const settings = { address, ...(device ? { interface: device } : {}), server, nodeName, facts };
  return (await ensureVirtualIp(changes, settings)) || restarted;
}

/** The way back: their units are the earlier ones already. @returns whether anything changed */
export async function restartEndpoint(host: Host, folder: string, changed: readonly string[]): Promise<boolean> {
  let restarted = false;
  for (const unit of [balancerUnit, virtualIpUnit]) {
    const path = `/etc/systemd/system/${unit}`;
    if (!(await host.stat(path))) continue;
    if (await restartFrom(host, unit, folder, changed.includes(path))) restarted = true;
  }
  return restarted;
}
