/** Several control planes in an inventory: the one that others join, the endpoint that they share, and the order. */
import { joinHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { parseEvent } from '../phases/events.ts';
import { mustOfApi } from './cluster.ts';
import { type Connection, quote } from './connection.ts';
import { ownAddress } from './documents.ts';
import { fleetError } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { controlPlanesOf, isControlPlane, type Plan } from './plan.ts';

/**
 * The control plane that is there already; on a new cluster the inventory's first.
 * @throws KinitError Connection when none is there among those that were reached: the cluster may be on one that was not
 */
export function founderOf(fleet: Fleet, plan: Plan): Member {
  const members = fleet.members.filter(({ host }) => isControlPlane(host));
  const found =
    members.find(({ facts }) => facts.isControlPlane && facts.isFounder) ??
    members.find(({ facts }) => facts.isControlPlane);
  if (found) return found;
  const planes = controlPlanesOf(plan);
  const lost = fleet.absent.filter(({ host }) => planes.some(({ name }) => name === host));
  if (!lost.length) return fleet.member(planes[0]!.name);
  const names = fleet.members.map(({ name }) => name);
  throw fleetError(lost, names.length ? `nothing was changed on ${names.join(', ')}` : 'nothing was changed');
}

/**
 * Control planes need a way that outlives each of them. When neither inventory nor configuration names one, each node of a new
 * cluster finds the API servers by itself. A cluster that was made without that goes on with the address of the inventory's
 * first control plane; the plan has it from then on.
 */
export function ensureEndpoint(fleet: Fleet, plan: Plan): void {
  const { inventory, given } = plan;
  const [first, second] = controlPlanesOf(plan);
  if (!first || !second) return;
  const { mode, virtualIP } = inventory.endpoint ?? given.HostConfiguration?.endpoint ?? {};
  if (mode === 'local' || virtualIP) return;
  if (inventory.cluster.controlPlaneEndpoint ?? given.ClusterConfiguration?.controlPlaneEndpoint) return;
  const there = fleet.members.filter(({ facts }) => facts.isControlPlane);
  if (mode === undefined && there.every(({ facts }) => facts.knowsEndpoint)) {
    // Hosts that have it know it.
    if (there.length === 0) plan.inventory = { ...inventory, endpoint: { mode: 'local' } };
    return;
  }
  const member = fleet.members.find(({ name }) => name === first.name);
  if (!member) return;
  const { facts } = member;
  const { advertiseAddress, bindPort = defaultBindPort } = given.InitConfiguration?.localAPIEndpoint ?? {};
  const endpoint = joinHostPort(advertiseAddress ?? ownAddress(first, facts) ?? first.address, bindPort);
  plan.inventory = { ...inventory, cluster: { ...inventory.cluster, controlPlaneEndpoint: endpoint } };
  const message = `no controlPlaneEndpoint is named: all nodes use ${endpoint}, the address of ${first.name}; the cluster outlives its loss only with a load balancer or a DNS name`;
  fleet.emit({ type: 'warning', host: first.name, message });
}

/** Uploads the certificates that control planes share. @returns the key that decrypts them */
export async function uploadCertificates(connection: Connection, plan: Plan, signal: AbortSignal): Promise<string> {
  const { inventory, given } = plan;
  const folder = inventory.cluster.certificatesDir ?? given.ClusterConfiguration?.certificatesDir;
  const words = ['init', 'phase', 'upload-certs', '--upload-certs', ...(folder ? ['--cert-dir', folder] : [])];
  const command = `${bundlePaths.bin}/kinit ${words.map(quote).join(' ')} --output json`;
  const output = await mustOfApi(connection, 'uploading the certificates', command, { signal, timeoutMs: 120_000 });
  for (const line of output.split('\n')) {
    const event = parseEvent(line);
    if (event?.type === 'ended' && event.ok && event.certificateKey) return event.certificateKey;
  }
  throw new KinitError('Command', 'kinit init phase upload-certs printed no key', { host: connection.host });
}
