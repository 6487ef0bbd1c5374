/**
 * Before any host is changed: do these hosts fit together, and do they reach each other? Only hosts that are not nodes yet
 * are worked on; of the running cluster its API tells, and its ports are tried.
 */
import { randomBytes } from 'node:crypto';
import type { Node } from '../../machinery/api/types.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { asKinitError } from '../errors.ts';
import { withoutIgnored } from '../preflight/check.ts';
import type { Failure, Listening } from '../probe/types.ts';
import { findNodes, isReady } from './cluster.ts';
import { type Compared, compareHosts } from './compare.ts';
import { ownAddress } from './documents.ts';
import type { Fleet, Member } from './fleet.ts';
import { isMember } from './joining.ts';
import { type FleetCommandOptions, isControlPlane, type Plan } from './plan.ts';
import { type Prober, startProber } from './probing.ts';
import { type FleetFinding, judgeWays, type Peer, portsToListen, targetsOf, type WaySettings } from './ways.ts';

export interface PeerCheck {
  fleet: Fleet;
  plan: Plan;
  options: FleetCommandOptions;
  /** The control plane that the others join. */
  founder?: Member;
  /** Nodes of the running cluster; none where there is no cluster yet. */
  nodes: readonly Node[];
}

/** The nodes of the cluster that hosts are about to join. */
export async function runningNodes(
  fleet: Fleet,
  founder: Member | undefined,
  { signal }: FleetCommandOptions,
): Promise<Node[]> {
  if (!founder?.facts.isControlPlane || fleet.members.every(isMember)) return [];
  return (await findNodes(founder.connection, signal)) ?? [];
}

/** Nodes that run and are not among the hosts that are worked on; others may be what a host was before. */
const othersOf = ({ fleet, nodes }: PeerCheck) =>
  nodes.filter((node) => isReady(node) && !fleet.members.some(({ host }) => host.nodeName === node.metadata?.name));

/** Compares what is known of the hosts. @throws KinitError Preflight */
export function checkIdentities(check: PeerCheck): void {
  const { fleet, founder } = check;
  const hosts: Compared[] = fleet.members.map((member) => ({
    name: member.name,
    newcomer: !isMember(member),
    facts: member.facts,
  }));
  for (const { metadata, status } of othersOf(check)) {
    const { machineID } = status?.nodeInfo ?? {};
    hosts.push({ name: metadata?.name ?? '', newcomer: false, facts: machineID ? { machineId: machineID } : {} });
  }
  conclude(check, compareHosts(hosts, founder?.name), 'the hosts do not fit together; nothing was changed');
}

function conclude({ fleet, options, plan }: PeerCheck, findings: readonly FleetFinding[], failure: string): void {
  const words = options.arguments ?? [];
  const { InitConfiguration, JoinConfiguration } = plan.given;
  const ignored = [
    ...words.filter((_, index) => words[index - 1] === '--ignore-preflight-errors'),
    ...(InitConfiguration?.nodeRegistration?.ignorePreflightErrors ?? []),
    ...(JoinConfiguration?.nodeRegistration?.ignorePreflightErrors ?? []),
  ];
  withoutIgnored(findings, ignored, failure);
  for (const { check, message, advice, hosts } of findings) {
    const text = `[${check}] ${message}${advice ? ` (${advice})` : ''}`;
    fleet.emit({ type: 'warning', host: hosts[0] ?? '', message: text });
  }
}

/** The value of a flag that goes to kinit on the hosts. */
function flagOf({ arguments: words = [] }: FleetCommandOptions, flag: string): string | undefined {
  const at = words.lastIndexOf(flag);
  return at < 0 ? undefined : words[at + 1];
}

function waySettings({ plan, options }: PeerCheck): WaySettings {
  const { InitConfiguration, JoinConfiguration, HostConfiguration } = plan.given;
  const { bindPort } = InitConfiguration?.localAPIEndpoint ?? JoinConfiguration?.controlPlane?.localAPIEndpoint ?? {};
  const first = plan.inventory.hosts.find(isControlPlane);
  const backend =
    flagOf(options, '--network-backend') ?? first?.settings.network?.backend ?? HostConfiguration?.network?.backend;
  const etcd = { ...plan.given.ClusterConfiguration, ...plan.inventory.cluster }.etcd;
  return {
    bindPort: Number(flagOf(options, '--apiserver-bind-port') ?? bindPort ?? defaultBindPort),
    ownEtcd: !etcd || !('external' in etcd),
    vxlan: (backend ?? 'vxlan') === 'vxlan',
  };
}

function peersOf(check: PeerCheck, members: readonly Member[]): Peer[] {
  const { plan, options } = check;
  const peers: Peer[] = [];
  for (const { name, host, facts } of members) {
    const address = ownAddress(host, facts) ?? facts.link?.address;
    if (!address) continue;
    const firewall = flagOf(options, '--firewall') ?? host.settings.firewall ?? plan.given.HostConfiguration?.firewall;
    peers.push({
      name,
      address,
      controlPlane: isControlPlane(host),
      newcomer: !isMember({ host, facts }),
      opensFirewall: firewall !== 'keep',
    });
  }
  for (const { metadata, status } of othersOf(check)) {
    const address = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
    if (!address) continue;
    const controlPlane = metadata?.labels?.['node-role.kubernetes.io/control-plane'] !== undefined;
    peers.push({ name: metadata?.name ?? '', address, controlPlane, newcomer: false, opensFirewall: false });
  }
  return peers;
}

/**
 * Lets the newcomers among these hosts, which have the bundle, try the ports that they need on each other and on the
 * running cluster. One command per newcomer, however many hosts there are.
 * @throws KinitError Preflight
 */
export async function checkWays(check: PeerCheck, members: readonly Member[]): Promise<void> {
  const { fleet } = check;
  const settings = waySettings(check);
  const peers = peersOf(check, [...members]);
  const newcomers = peers.filter(({ newcomer }) => newcomer);
  if (!newcomers.length || peers.length < 2) return;
  const listening = new Map<string, Listening>();
  const failures = new Map<string, Failure[]>();
  const nonce = `kinit ${randomBytes(12).toString('hex')}`;
  const probers = new Map<string, Prober>();
  const broken = (name: string, error: unknown) => {
    const { message, details } = asKinitError(error);
    const text = `[Reachable] could not be tried from this host: ${message}${details.seen ? ` (${details.seen})` : ''}`;
    fleet.emit({ type: 'warning', host: name, message: text });
  };
  const allListen = Promise.withResolvers<void>();
  let missing = newcomers.length;
  const work = async (peer: Peer) => {
    const prober = startProber(fleet.member(peer.name).connection, check.options.signal);
    probers.set(peer.name, prober);
    try {
      const ports = portsToListen(peer, peers, settings);
      listening.set(peer.name, await prober.listen({ nonce, listen: ports }));
    } catch (error) {
      broken(peer.name, error);
    }
    if (--missing === 0) allListen.resolve();
    await allListen.promise;
    if (!listening.has(peer.name)) return { changed: false };
    try {
      const targets = targetsOf(peer, peers, listening, settings);
      failures.set(peer.name, (await prober.probe({ targets })).failures);
    } catch (error) {
      broken(peer.name, error);
    }
    return { changed: false };
  };
  try {
    await Promise.all(
      newcomers.map((peer) => fleet.step(peer.name, 'ways', 'Try the ports of the other hosts', () => work(peer))),
    );
  } finally {
    await Promise.all([...probers.values()].map((prober) => prober.close()));
  }
  check.options.signal.throwIfAborted();
  const failure = 'the hosts do not reach each other; they have the bundle, and nothing else was changed';
  conclude(check, judgeWays(peers, failures, listening), failure);
}
