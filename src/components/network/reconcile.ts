/** Brings the kernel to a NetworkPlan: observe, compare, act. Only what is ours is ever removed. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileIfChanged } from '../../machinery/atomic-file.ts';
import type { Iptables } from '../../machinery/process/iptables.ts';
import { must, run } from '../../machinery/process/run.ts';
import {
  bridgeBatch,
  type ForwardingEntry,
  forwarding,
  ipBatch,
  type LinkInfo,
  links,
  type NeighbourInfo,
  neighbours,
  type RouteInfo,
  routes,
} from './kernel.ts';
import { cniConfig, jumps, masqueradeRules, type NetworkPlan, type Uplink } from './plan.ts';

/** Marks our routes in the kernel's tables (a number that no routing daemon of iproute2's list uses). */
const routeProtocol = '145';

/** Finds the interface that carries the node's address. */
export async function findUplink(address: string): Promise<Uplink> {
  const all = await links();
  const found = all.find((link) => link.addr_info?.some((a) => a.family === 'inet' && a.local === address));
  if (!found) {
    const seen = all.flatMap((link) => link.addr_info?.map((a) => `${link.ifname} ${a.local}`) ?? []);
    throw new Error(`no interface has the node's InternalIP ${address}; there are: ${seen.join(', ')}`);
  }
  return { interface: found.ifname, address, mtu: found.mtu };
}

/** Commands for the VXLAN interface; empty when it is as planned. Made anew when what cannot be changed differs. */
export function linkCommands(current: LinkInfo | undefined, plan: NonNullable<NetworkPlan['vxlan']>): string[] {
  const data = current?.linkinfo?.info_data;
  const same =
    current?.linkinfo?.info_kind === 'vxlan' &&
    data?.id === plan.id &&
    data.port === plan.port &&
    data.local === plan.local &&
    data.link === plan.uplink;
  const commands: string[] = [];
  if (current && !same) commands.push(`link del ${plan.interface}`);
  if (!same) {
    commands.push(
      `link add ${plan.interface} address ${plan.mac} mtu ${plan.mtu} type vxlan id ${plan.id} dev ${plan.uplink} local ${plan.local} dstport ${plan.port} nolearning`,
    );
  } else {
    if (current?.address !== plan.mac) commands.push(`link set ${plan.interface} address ${plan.mac}`);
    if (current?.mtu !== plan.mtu) commands.push(`link set ${plan.interface} mtu ${plan.mtu}`);
  }
  const addresses = same ? (current?.addr_info ?? []).filter((a) => a.family === 'inet') : [];
  for (const { local, prefixlen } of addresses) {
    if (local !== plan.address || prefixlen !== 32)
      commands.push(`address del ${local}/${prefixlen} dev ${plan.interface}`);
  }
  if (!addresses.some((a) => a.local === plan.address && a.prefixlen === 32)) {
    commands.push(`address add ${plan.address}/32 dev ${plan.interface}`);
  }
  if (!same || !current?.flags?.includes('UP')) commands.push(`link set ${plan.interface} up`);
  return commands;
}

/** Commands that add missing routes and remove ours that are no longer planned. */
export function routeCommands(current: RouteInfo[], plan: NetworkPlan): string[] {
  const ours = current.filter((route) => route.protocol === routeProtocol);
  const key = (r: { destination: string; via: string; device: string }) => `${r.destination} ${r.via} ${r.device}`;
  const planned = new Set(plan.routes.map(key));
  const there = new Set(ours.map((r) => key({ destination: r.dst, via: r.gateway ?? '', device: r.dev })));
  const destinations = new Set(plan.routes.map((r) => r.destination));
  return [
    ...ours
      .filter(
        (r) =>
          !planned.has(key({ destination: r.dst, via: r.gateway ?? '', device: r.dev })) && !destinations.has(r.dst),
      )
      .map((r) => `route del ${r.dst} proto ${routeProtocol}`),
    ...plan.routes
      .filter((r) => !there.has(key(r)))
      .map(
        (r) =>
          `route replace ${r.destination} via ${r.via} dev ${r.device} proto ${routeProtocol}${r.onlink ? ' onlink' : ''}`,
      ),
  ];
}

/** Commands for the peers' link-layer addresses. */
export function neighbourCommands(current: NeighbourInfo[], plan: NetworkPlan): string[] {
  const device = plan.vxlan?.interface;
  if (!device) return [];
  const permanent = current.filter((n) => n.state?.includes('PERMANENT'));
  const planned = new Map(plan.neighbours.map((n) => [n.address, n.mac]));
  const there = new Map(permanent.map((n) => [n.dst, n.lladdr]));
  return [
    ...permanent.filter((n) => !planned.has(n.dst)).map((n) => `neigh del ${n.dst} dev ${device}`),
    ...plan.neighbours
      .filter((n) => there.get(n.address) !== n.mac)
      .map((n) => `neigh replace ${n.address} lladdr ${n.mac} dev ${device} nud permanent`),
  ];
}

/** Commands for which host a peer's link-layer address lies on. */
export function forwardingCommands(current: ForwardingEntry[], plan: NetworkPlan): string[] {
  const device = plan.vxlan?.interface;
  if (!device) return [];
  const unicast = current.filter((entry) => entry.dst && entry.mac !== '00:00:00:00:00:00');
  const planned = new Map(plan.neighbours.map((n) => [n.mac, n.host]));
  const there = new Map(unicast.map((entry) => [entry.mac, entry.dst]));
  return [
    ...unicast
      .filter((entry) => !planned.has(entry.mac))
      .map((entry) => `fdb del ${entry.mac} dev ${device} dst ${entry.dst}`),
    ...plan.neighbours
      .filter((n) => there.get(n.mac) !== n.host)
      .map((n) => `fdb replace ${n.mac} dev ${device} dst ${n.host} self permanent`),
  ];
}

/** Links, routes and peers. Answers how many commands it took. */
export async function reconcileLinks(plan: NetworkPlan): Promise<number> {
  let count = 0;
  if (plan.vxlan) {
    const name = plan.vxlan.interface;
    const change = linkCommands(
      (await links()).find((link) => link.ifname === name),
      plan.vxlan,
    );
    await ipBatch(change);
    const peers = neighbourCommands(await neighbours(name), plan);
    await ipBatch(peers);
    const entries = forwardingCommands(await forwarding(name), plan);
    await bridgeBatch(entries);
    count += change.length + peers.length + entries.length;
  }
  const change = routeCommands(await routes(), plan);
  await ipBatch(change);
  return count + change.length;
}

/** Forwarding on, our chains filled, jumps in place. */
export async function reconcileRules(iptables: Iptables, network: string, podCIDR: string): Promise<void> {
  const forward = '/proc/sys/net/ipv4/ip_forward';
  if ((await readFile(forward, 'utf8')).trim() !== '1') await writeFile(forward, '1');
  await must(iptables.restore, ['--noflush', '--wait'], { input: masqueradeRules(network, podCIDR) });
  for (const [table, chain, rule] of jumps) {
    const there = await run(iptables.command, ['--wait', '-t', table, '-C', chain, ...rule]);
    if (there.code !== 0) await must(iptables.command, ['--wait', '-t', table, '-I', chain, '1', ...rule]);
  }
}

/** Tells containerd, by its configuration folder, how pods get their network. Answers whether the file changed. */
export function writeCniConfig(folder: string, plan: NetworkPlan): Promise<boolean> {
  return writeFileIfChanged(join(folder, '10-kinit.conflist'), `${JSON.stringify(cniConfig(plan), null, 2)}\n`);
}
