/**
 * The iptables rules of all services, chain for chain as upstream's iptables mode lays them out: a pure function from
 * service ports and endpoints to the input of iptables-restore.
 */
import { createHash } from 'node:crypto';
import { chooseEndpoints, type Endpoint, type ServicePortInfo } from './service-ports.ts';

export interface RuleOptions {
  node: { name: string; zone?: string };
  /** Traffic from outside of it is masqueraded; empty: unknown. */
  clusterCIDR: string;
  masqueradeAll: boolean;
  /** Packet mark bit, 14 by default. */
  masqueradeBit: number;
  localhostNodePorts: boolean;
}

export interface RuleSet {
  nat: Table;
  filter: Table;
}

/** Chains and rules of one table, in order. */
export class Table {
  readonly chains: string[] = [];
  readonly rules: string[] = [];
  chain(name: string): void {
    if (!this.chains.includes(name)) this.chains.push(name);
  }
  add(chain: string, ...parts: string[]): void {
    this.rules.push(`-A ${chain} ${parts.join(' ')}`);
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** First 16 characters of the base32 of a sha256: upstream's chain names. */
export function chainHash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let bits = 0;
  let value = 0;
  let out = '';
  for (const byte of digest) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5 && out.length < 16) {
      out += alphabet[(value >>> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= (1 << bits) - 1;
    if (out.length === 16) break;
  }
  return out;
}

const portHash = (port: ServicePortInfo) => chainHash(port.name + port.protocol.toLowerCase());
export const serviceChain = (port: ServicePortInfo) => `KUBE-SVC-${portHash(port)}`;
const localChain = (port: ServicePortInfo) => `KUBE-SVL-${portHash(port)}`;
const externalChain = (port: ServicePortInfo) => `KUBE-EXT-${portHash(port)}`;
const firewallChain = (port: ServicePortInfo) => `KUBE-FW-${portHash(port)}`;
const endpointChain = (port: ServicePortInfo, e: Endpoint) =>
  `KUBE-SEP-${chainHash(`${port.name}${port.protocol.toLowerCase()}${e.ip}:${e.port}`)}`;

const comment = (text: string) => `-m comment --comment "${text}"`;

export function buildRules(
  ports: ServicePortInfo[],
  endpoints: Map<string, Endpoint[]>,
  options: RuleOptions,
): RuleSet {
  const nat = new Table();
  const filter = new Table();
  const mark = `0x${(1 << options.masqueradeBit).toString(16)}`;
  for (const chain of [
    'KUBE-SERVICES',
    'KUBE-EXTERNAL-SERVICES',
    'KUBE-FORWARD',
    'KUBE-NODEPORTS',
    'KUBE-PROXY-FIREWALL',
    'KUBE-FIREWALL',
  ])
    filter.chain(chain);
  for (const chain of ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ']) nat.chain(chain);

  nat.add('KUBE-POSTROUTING', `-m mark ! --mark ${mark}/${mark} -j RETURN`);
  nat.add('KUBE-POSTROUTING', `-j MARK --xor-mark ${mark}`);
  nat.add('KUBE-POSTROUTING', comment('kubernetes service traffic requiring SNAT'), '-j MASQUERADE --random-fully');
  nat.add('KUBE-MARK-MASQ', `-j MARK --or-mark ${mark}`);

  for (const port of [...ports].sort((a, b) => (a.name + a.protocol < b.name + b.protocol ? -1 : 1))) {
    addServicePort(nat, filter, port, endpoints.get(port.name) ?? [], options);
  }
  nat.add(
    'KUBE-SERVICES',
    comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain'),
    `-m addrtype --dst-type LOCAL${options.localhostNodePorts ? '' : ' ! -d 127.0.0.0/8'} -j KUBE-NODEPORTS`,
  );
  filter.add('KUBE-FORWARD', comment('kubernetes forwarding rules'), `-m mark --mark ${mark}/${mark} -j ACCEPT`);
  filter.add(
    'KUBE-FORWARD',
    comment('kubernetes forwarding conntrack rule'),
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  );
  if (options.localhostNodePorts) {
    // route_localnet opens 127.0.0.0/8 to the network (CVE-2020-8558): only answers may pass.
    filter.add(
      'KUBE-FIREWALL',
      comment('block incoming localnet connections'),
      '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
    );
  }
  return { nat, filter };
}

function addServicePort(nat: Table, filter: Table, port: ServicePortInfo, all: Endpoint[], options: RuleOptions): void {
  const proto = port.protocol.toLowerCase();
  const to = (ip: string) => `-m ${proto} -p ${proto} -d ${ip}/32 --dport ${port.port}`;
  const { cluster, local, hasAny } = chooseEndpoints(all, options.node);
  const svc = serviceChain(port);
  const svl = localChain(port);
  const ext = externalChain(port);
  const internal = port.internalPolicy === 'Local' ? { chain: svl, list: local } : { chain: svc, list: cluster };
  const external = port.externalPolicy === 'Local' ? { chain: svl, list: local } : { chain: svc, list: cluster };
  const exposed = port.nodePort !== undefined || port.externalIPs.length > 0 || port.loadBalancerIPs.length > 0;
  const refuse = (list: Endpoint[]) => (hasAny && list.length === 0 ? 'DROP' : 'REJECT');
  const why = hasAny ? 'has no local endpoints' : 'has no endpoints';

  if (internal.list.length)
    nat.add('KUBE-SERVICES', comment(`${port.name} cluster IP`), `${to(port.clusterIP)} -j ${internal.chain}`);
  else filter.add('KUBE-SERVICES', comment(`${port.name} ${why}`), `${to(port.clusterIP)} -j ${refuse(internal.list)}`);

  // With policy Local, pods and the node itself still reach every endpoint.
  const reachable = external.list.length > 0 || (port.externalPolicy === 'Local' && cluster.length > 0);
  for (const [ips, label] of [
    [port.externalIPs, 'external IP'],
    [port.loadBalancerIPs, 'loadbalancer IP'],
  ] as const) {
    for (const ip of ips) {
      const restricted = label === 'loadbalancer IP' && port.loadBalancerSourceRanges.length > 0;
      if (reachable) nat.add('KUBE-SERVICES', comment(`${port.name} ${label}`), `${to(ip)} -j ${ext}`);
      if (restricted && reachable)
        filter.add(
          'KUBE-PROXY-FIREWALL',
          comment(`${port.name} traffic not accepted by ${firewallChain(port)}`),
          `${to(ip)} -j ${firewallChain(port)}`,
        );
      if (!external.list.length)
        filter.add('KUBE-EXTERNAL-SERVICES', comment(`${port.name} ${why}`), `${to(ip)} -j ${refuse(external.list)}`);
    }
  }
  if (port.nodePort !== undefined) {
    const dport = `-m ${proto} -p ${proto} --dport ${port.nodePort}`;
    if (reachable) nat.add('KUBE-NODEPORTS', comment(port.name), `${dport} -j ${ext}`);
    if (!external.list.length) {
      filter.add(
        'KUBE-EXTERNAL-SERVICES',
        comment(`${port.name} ${why}`),
        `-m addrtype --dst-type LOCAL ${dport} -j ${refuse(external.list)}`,
      );
    }
  }
  if (port.healthCheckNodePort !== undefined) {
    filter.add(
      'KUBE-NODEPORTS',
      comment(`${port.name} health check node port`),
      `-m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`,
    );
  }
  if (port.loadBalancerIPs.length && port.loadBalancerSourceRanges.length && reachable) {
    filter.chain(firewallChain(port));
    for (const range of port.loadBalancerSourceRanges)
      filter.add(firewallChain(port), comment(port.name), `-s ${range} -j RETURN`);
    filter.add(firewallChain(port), comment(`other traffic to ${port.name} will be dropped`), '-j DROP');
  }
  if (exposed && reachable) addExternalChain(nat, port, external, options);
  const usesCluster = cluster.length > 0 && (internal.chain === svc || (exposed && reachable));
  const usesLocal = local.length > 0 && (internal.chain === svl || (exposed && external.chain === svl));
  if (usesCluster) addBalancing(nat, svc, port, cluster, options);
  if (usesLocal) addBalancing(nat, svl, port, local, options);
  const used = new Map(
    [...(usesCluster ? cluster : []), ...(usesLocal ? local : [])].map((e) => [endpointChain(port, e), e]),
  );
  for (const [chain, endpoint] of used) addEndpoint(nat, chain, port, endpoint);
}

function addExternalChain(
  nat: Table,
  port: ServicePortInfo,
  external: { chain: string; list: Endpoint[] },
  options: RuleOptions,
): void {
  const chain = externalChain(port);
  nat.chain(chain);
  if (port.externalPolicy === 'Cluster') {
    nat.add(chain, comment(`masquerade traffic for ${port.name} external destinations`), '-j KUBE-MARK-MASQ');
  } else {
    if (options.clusterCIDR) {
      nat.add(
        chain,
        comment(`pod traffic for ${port.name} external destinations`),
        `-s ${options.clusterCIDR} -j ${serviceChain(port)}`,
      );
    }
    nat.add(
      chain,
      comment(`masquerade LOCAL traffic for ${port.name} external destinations`),
      '-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ',
    );
    nat.add(
      chain,
      comment(`route LOCAL traffic for ${port.name} external destinations`),
      `-m addrtype --src-type LOCAL -j ${serviceChain(port)}`,
    );
  }
  if (external.list.length) nat.add(chain, `-j ${external.chain}`);
}

function addBalancing(nat: Table, chain: string, port: ServicePortInfo, list: Endpoint[], options: RuleOptions): void {
  const proto = port.protocol.toLowerCase();
  nat.chain(chain);
  const clusterIP = `-m ${proto} -p ${proto} -d ${port.clusterIP}/32 --dport ${port.port}`;
  if (options.masqueradeAll) nat.add(chain, comment(`${port.name} cluster IP`), `${clusterIP} -j KUBE-MARK-MASQ`);
  else if (options.clusterCIDR)
    nat.add(chain, comment(`${port.name} cluster IP`), `${clusterIP} ! -s ${options.clusterCIDR} -j KUBE-MARK-MASQ`);
  if (port.affinitySeconds !== undefined) {
    for (const e of list) {
      const sep = endpointChain(port, e);
      nat.add(
        chain,
        comment(`${port.name} -> ${e.ip}:${e.port}`),
        `-m recent --name ${sep} --rcheck --seconds ${port.affinitySeconds} --reap -j ${sep}`,
      );
    }
  }
  list.forEach((e, index) => {
    const left = list.length - index;
    const chance = left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(10)} ` : '';
    nat.add(chain, comment(`${port.name} -> ${e.ip}:${e.port}`), `${chance}-j ${endpointChain(port, e)}`);
  });
}

function addEndpoint(nat: Table, chain: string, port: ServicePortInfo, endpoint: Endpoint): void {
  const proto = port.protocol.toLowerCase();
  nat.chain(chain);
  nat.add(chain, comment(port.name), `-s ${endpoint.ip}/32 -j KUBE-MARK-MASQ`);
  const affinity = port.affinitySeconds !== undefined ? `-m recent --name ${chain} --set ` : '';
  nat.add(
    chain,
    comment(port.name),
    `${affinity}-m ${proto} -p ${proto} -j DNAT --to-destination ${endpoint.ip}:${endpoint.port}`,
  );
}

/** Chains whose content depends on services: those left over from earlier are deleted. */
const ownedChain = /^KUBE-(SVC|SVL|SEP|EXT|FW)-/;

/** Input for `iptables-restore --noflush`; `existing` are the chains that the kernel has now. */
export function restoreInput(table: 'nat' | 'filter', rules: Table, existing: string[]): string {
  const stale = existing.filter((chain) => ownedChain.test(chain) && !rules.chains.includes(chain));
  return [
    `*${table}`,
    ...[...rules.chains, ...stale].map((chain) => `:${chain} - [0:0]`),
    ...rules.rules,
    ...stale.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n');
}

const newOnly = '-m conntrack --ctstate NEW';

/** Jumps from built-in chains into ours, as arguments for `iptables -t <table> … <chain>`. */
export const jumps: { table: 'nat' | 'filter'; chain: string; rule: string }[] = [
  {
    table: 'filter',
    chain: 'INPUT',
    rule: `${newOnly} ${comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`,
  },
  {
    table: 'filter',
    chain: 'FORWARD',
    rule: `${newOnly} ${comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`,
  },
  { table: 'filter', chain: 'INPUT', rule: `${comment('kubernetes health check service ports')} -j KUBE-NODEPORTS` },
  { table: 'filter', chain: 'FORWARD', rule: `${newOnly} ${comment('kubernetes service portals')} -j KUBE-SERVICES` },
  { table: 'filter', chain: 'OUTPUT', rule: `${newOnly} ${comment('kubernetes service portals')} -j KUBE-SERVICES` },
  { table: 'filter', chain: 'FORWARD', rule: `${comment('kubernetes forwarding rules')} -j KUBE-FORWARD` },
  {
    table: 'filter',
    chain: 'INPUT',
    rule: `${newOnly} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`,
  },
  {
    table: 'filter',
    chain: 'OUTPUT',
    rule: `${newOnly} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`,
  },
  {
    table: 'filter',
    chain: 'FORWARD',
    rule: `${newOnly} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`,
  },
  { table: 'filter', chain: 'INPUT', rule: '-j KUBE-FIREWALL' },
  { table: 'filter', chain: 'OUTPUT', rule: '-j KUBE-FIREWALL' },
  { table: 'nat', chain: 'OUTPUT', rule: `${comment('kubernetes service portals')} -j KUBE-SERVICES` },
  { table: 'nat', chain: 'PREROUTING', rule: `${comment('kubernetes service portals')} -j KUBE-SERVICES` },
  { table: 'nat', chain: 'POSTROUTING', rule: `${comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING` },
];
