/** Which ports the hosts of a cluster have to reach on each other, and what is said when they do not. */
import type { Finding } from '../preflight/check.ts';
import { type Failure, type Listening, type Port, portName, sameWay, type Target } from '../probe/types.ts';

export interface Peer {
  name: string;
  /** Of its node; hosts without a known one are left out. */
  address: string;
  controlPlane: boolean;
  /** It is not a node yet: kinit listens there, and tries the others from there. */
  newcomer: boolean;
  /** kinit will open the ports in its firewall. */
  opensFirewall: boolean;
}

export interface WaySettings {
  bindPort: number;
  /** etcd runs on the control planes. */
  ownEtcd: boolean;
  vxlan: boolean;
}

const tcp = (port: number): Port => ({ port, protocol: 'tcp' });
const vxlanPort: Port = { port: 8472, protocol: 'udp' };

/** What `from` has to reach on `to`. */
export function neededPorts(from: Peer, to: Peer, { bindPort, ownEtcd, vxlan }: WaySettings): Port[] {
  const bothLead = from.controlPlane && to.controlPlane;
  return [
    ...(to.controlPlane ? [tcp(bindPort)] : []),
    ...(from.controlPlane ? [tcp(10250)] : []),
    ...(bothLead && ownEtcd ? [tcp(2379), tcp(2380)] : []),
    ...(vxlan ? [vxlanPort] : []),
  ];
}

/** What a newcomer listens on: all that any other host tries there. */
export function portsToListen(peer: Peer, peers: readonly Peer[], settings: WaySettings): Port[] {
  const ports = peers
    .filter((other) => other !== peer && other.newcomer)
    .flatMap((other) => neededPorts(other, peer, settings));
  return ports.filter((port, index) => ports.findIndex((other) => sameWay(other, port)) === index);
}

/** What a newcomer tries. Nothing that runs answers on the VXLAN port, so that only newcomers are asked there. */
export function targetsOf(
  from: Peer,
  peers: readonly Peer[],
  listening: ReadonlyMap<string, Listening>,
  settings: WaySettings,
): Target[] {
  const targets: Target[] = [];
  for (const to of peers) {
    if (to === from || (to.newcomer && !listening.has(to.name))) continue;
    for (const port of neededPorts(from, to, settings)) {
      const answers = listening.get(to.name)?.listening.some((one) => sameWay(one, port)) ?? false;
      if (port.protocol === 'udp' && !answers) continue;
      const group = targets.find((target) => sameWay(target, port) && target.answers === answers);
      if (group) group.addresses.push(to.address);
      else targets.push({ ...port, answers, addresses: [to.address] });
    }
  }
  return targets;
}

export interface FleetFinding extends Finding {
  /** Those that it is about, the first one first. */
  hosts: string[];
}

const purposes: Record<number, string> = {
  2379: 'etcd',
  2380: 'etcd',
  8472: 'pod network, VXLAN',
  10250: 'kubelet',
};

/** @param failures by the name of the host that tried */
export function judgeWays(
  peers: readonly Peer[],
  failures: ReadonlyMap<string, readonly Failure[]>,
  listening: ReadonlyMap<string, Listening>,
): FleetFinding[] {
  const groups = new Map<string, { to: Peer; port: Port; why: string; from: string[] }>();
  for (const [from, list] of failures) {
    for (const { address, why, ...port } of list) {
      const to = peers.find((peer) => peer.address === address);
      // kinit opens the port in a firewall of its own later, and what listens there is looked at on the host.
      if (!to || (to.opensFirewall && listening.get(to.name)?.firewall)) continue;
      const key = `${to.name} ${portName(port)} ${why}`;
      const group = groups.get(key) ?? { to, port, why, from: [] };
      group.from.push(from);
      groups.set(key, group);
    }
  }
  const inOrder = [...groups.values()].sort(
    (a, b) => peers.indexOf(a.to) - peers.indexOf(b.to) || a.port.port - b.port.port,
  );
  return inOrder.map(({ to, port, why, from }) => {
    const names = from.length > 4 ? `${from.slice(0, 4).join(', ')} and ${from.length - 4} more` : from.join(', ');
    const purpose = purposes[port.port] ?? 'API server';
    return {
      check: `Reachable-${port.port}`,
      level: 'error',
      hosts: [to.name, ...from],
      message: `${names} cannot reach ${to.name} (${to.address}) on port ${portName(port)} (${purpose}): ${why}`,
      advice:
        why === 'another program answers'
          ? anotherProgram(to)
          : `open ${portName(port)} on ${to.name} for ${names}, and on the way between them`,
    };
  });
}

const anotherProgram = ({ name, address }: Peer) =>
  `another machine has the address ${address} there, or something on ${name} or on the way answers in its place`;
