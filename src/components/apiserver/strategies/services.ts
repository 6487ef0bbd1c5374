/**
 * Services get their addresses and node ports when they are written. Each address is an IPAddress object, each port a key;
 * both are made in the transaction that writes the service, so two API servers never give out the same one.
 */
import { randomInt } from 'node:crypto';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { formatTime } from '../../../machinery/api/time.ts';
import type { Service, UnknownObject } from '../../../machinery/api/types.ts';
import { type FieldError, invalid } from '../errors.ts';
import type { Accompanying } from '../storage/store.ts';
import { serialize } from '../storage/stored-object.ts';
import { type AddressRange, addressAt } from './address-range.ts';
import type { Strategy, StrategyContext } from './strategy.ts';

export interface ServiceRanges {
  /** `--service-cluster-ip-range`, one per IP family, the primary one first. */
  clusterIp: AddressRange[];
  /** `--service-node-port-range`. */
  nodePorts: { first: number; last: number };
}

type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

const addresses = { group: 'networking.k8s.io', resource: 'ipaddresses' };
export const nodePortPrefix = '/registry/kinit.local/nodeports/';
const addressKey = (ip: string) => `/registry/ipaddresses/${ip}`;
const specOf = (object: UnknownObject) => ((object as Service).spec ?? {}) as NonNullable<Service['spec']>;
const needsAddress = ({ type }: { type?: string }) => type !== 'ExternalName';
const needsPorts = ({ type }: { type?: string }) => type === 'NodePort' || type === 'LoadBalancer';
const tries = 200;

export function servicesStrategy(ranges: ServiceRanges): Strategy {
  return {
    returnDeleted: true,
    createOnUpdate: true,
    prepareForCreate(object) {
      object['status'] = { loadBalancer: {} };
    },
    prepareForUpdate(next, old) {
      followPrimaryAddress(specOf(next), specOf(old));
      dropUnneeded(specOf(next), specOf(old));
      keepAllocated(specOf(next), specOf(old));
    },
    reserve(next, old, context) {
      const plan: Accompanying = { conditions: [], operations: [] };
      const errors: FieldError[] = [];
      reserveAddresses(ranges, next as Service, old as Service | undefined, context, plan, errors);
      reservePorts(ranges, next as Service, old as Service | undefined, context, plan, errors);
      if (errors.length) throw invalid('', 'Service', next.metadata?.name ?? '', errors);
      return plan.operations.length ? plan : undefined;
    },
    release(object) {
      const spec = specOf(object);
      const operations: Accompanying['operations'] = [
        ...addressesOf(spec).map((ip) => ({ op: 'delete' as const, key: addressKey(ip) })),
        ...portsOf(spec).map((port) => ({ op: 'delete' as const, key: `${nodePortPrefix}${port}` })),
      ];
      return operations.length ? { conditions: [], operations } : undefined;
    },
  };
}

type Spec = NonNullable<Service['spec']>;

const addressesOf = (spec: Spec): string[] =>
  needsAddress(spec) ? (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((ip) => isIP(ip)) : [];

/** A port number may be used by TCP and UDP at once, by the same service. */
function portsOf(spec: Spec): number[] {
  if (!needsPorts(spec)) return [];
  const numbers = (spec.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));
  if (spec.healthCheckNodePort) numbers.push(spec.healthCheckNodePort);
  return [...new Set(numbers)];
}

/** A patch of `clusterIP` alone means the list too. */
function followPrimaryAddress(next: Spec, old: Spec): void {
  if (next.clusterIP === old.clusterIP || !isDeepStrictEqual(next.clusterIPs, old.clusterIPs)) return;
  if (next.clusterIP) next.clusterIPs = [next.clusterIP];
  else delete next.clusterIPs;
}

const isExternal = ({ type, externalIPs }: Spec): boolean =>
  type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && Boolean(externalIPs?.length));

/** A change of type takes along what the new type does not have, unless the client sets it anew. */
function dropUnneeded(next: Spec, old: Spec): void {
  const needsCheck = ({ type, externalTrafficPolicy }: Spec) =>
    type === 'LoadBalancer' && externalTrafficPolicy === 'Local';
  const isBalancer = ({ type }: Spec) => type === 'LoadBalancer';
  for (const [field, needed] of [
    ['externalTrafficPolicy', isExternal],
    ['healthCheckNodePort', needsCheck],
    ['allocateLoadBalancerNodePorts', isBalancer],
    ['loadBalancerClass', isBalancer],
  ] as const)
    if (needed(old) && !needed(next) && next[field] === old[field]) delete next[field];
}

/** An update that leaves out what was allocated keeps it (kubectl apply, older clients). */
function keepAllocated(next: Spec, old: Spec): void {
  if (needsAddress(next) && needsAddress(old)) {
    if (!next.clusterIP && old.clusterIP) next.clusterIP = old.clusterIP;
    if (!next.clusterIPs?.length && old.clusterIPs && next.clusterIP === old.clusterIP)
      next.clusterIPs = old.clusterIPs;
    next.ipFamilies ??= old.ipFamilies as string[];
    next.ipFamilyPolicy ??= old.ipFamilyPolicy as string;
  }
  if (!needsAddress(next)) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete next[field];
  }
  if (needsPorts(next) && needsPorts(old)) {
    const key = ({ protocol = 'TCP', port }: ServicePort) => `${protocol}/${port}`;
    const known = new Map((old.ports ?? []).map((port) => [key(port), port.nodePort]));
    for (const port of next.ports ?? []) {
      const nodePort = known.get(key(port));
      if (!port.nodePort && nodePort) port.nodePort = nodePort;
    }
    if (!next.healthCheckNodePort && old.healthCheckNodePort && next.externalTrafficPolicy === 'Local')
      next.healthCheckNodePort = old.healthCheckNodePort;
  }
  if (!needsPorts(next)) for (const port of next.ports ?? []) if (needsPorts(old)) delete port.nodePort;
}

function reserveAddresses(
  { clusterIp }: ServiceRanges,
  next: Service,
  old: Service | undefined,
  { cache, now }: StrategyContext,
  plan: Accompanying,
  errors: FieldError[],
): void {
  const spec = next.spec ?? {};
  const before = old?.spec ? addressesOf(old.spec) : [];
  if (needsAddress(spec) && spec.clusterIP !== 'None') {
    const families = familiesOf(spec, clusterIp);
    spec.ipFamilies = families.map((range) => (range.ipv6 ? 'IPv6' : 'IPv4'));
    spec.ipFamilyPolicy ??= 'SingleStack';
    const wanted = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
    spec.clusterIPs = families.map((range, i) => {
      const asked = wanted[i];
      if (asked && before.includes(asked)) return asked;
      const taken = (ip: string) => cache.get(addresses, '', ip) !== undefined;
      const ip = asked || freeAddress(range, taken);
      const problem = asked ? addressProblem(asked, range, taken) : ip ? undefined : 'range is full';
      if (problem || !ip) {
        errors.push({
          type: 'FieldValueInvalid',
          field: 'spec.clusterIPs',
          message: `Invalid value: [${wanted.map((value) => JSON.stringify(value)).join(',')}]: failed to allocate IP ${asked ?? ''}: ${problem}`,
        });
        return asked ?? '';
      }
      plan.conditions.push({ key: addressKey(ip), modRevision: 0 });
      plan.operations.push({ op: 'put', key: addressKey(ip), value: serialize(addressObject(ip, next, range, now)) });
      return ip;
    });
    spec.clusterIP = spec.clusterIPs[0] as string;
  } else if (needsAddress(spec)) {
    spec.clusterIPs = ['None'];
    const [primary] = clusterIp;
    spec.ipFamilies ??= [primary?.ipv6 ? 'IPv6' : 'IPv4'];
    spec.ipFamilyPolicy ??= spec.selector && Object.keys(spec.selector).length ? 'SingleStack' : 'RequireDualStack';
    if (spec.ipFamilyPolicy === 'RequireDualStack' && clusterIp.length < 2) spec.ipFamilyPolicy = 'SingleStack';
  }
  const after = addressesOf(spec);
  for (const ip of before) if (!after.includes(ip)) plan.operations.push({ op: 'delete', key: addressKey(ip) });
}

function familiesOf(spec: Spec, ranges: AddressRange[]): AddressRange[] {
  const named = (spec.ipFamilies ?? []).flatMap((family) => ranges.filter(({ ipv6 }) => ipv6 === (family === 'IPv6')));
  const fromAddress = spec.clusterIP ? ranges.filter(({ ipv6 }) => ipv6 === isIPv6(spec.clusterIP as string)) : [];
  const first = named[0] ?? fromAddress[0] ?? ranges[0];
  if (!first) throw new Error('no service address range is configured');
  const dual = spec.ipFamilyPolicy === 'PreferDualStack' || spec.ipFamilyPolicy === 'RequireDualStack';
  return dual ? [first, ...ranges.filter((range) => range !== first)] : [first];
}

function addressProblem(ip: string, range: AddressRange, taken: (ip: string) => boolean): string | undefined {
  const block = new BlockList();
  block.addSubnet(range.network, range.prefix, range.ipv6 ? 'ipv6' : 'ipv4');
  if (!block.check(ip, range.ipv6 ? 'ipv6' : 'ipv4'))
    return `the provided network does not match the current range: the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${range.network}/${range.prefix}`;
  return taken(ip) ? 'provided IP is already allocated' : undefined;
}

/** Upstream leaves the lower part of the range to addresses that are asked for by hand. */
function freeAddress(range: AddressRange, taken: (ip: string) => boolean): string | undefined {
  const usable = Math.max(1, range.size - 2);
  const reserved = usable < 32 ? 0 : Math.min(256, Math.max(16, Math.floor(usable / 16)));
  for (let i = 0; i < tries; i++) {
    const ip = addressAt(range, 1 + reserved + randomInt(Math.max(1, usable - reserved)));
    if (!taken(ip)) return ip;
  }
  for (let offset = usable; offset >= 1 && usable - offset < 70_000; offset--) {
    const ip = addressAt(range, offset);
    if (!taken(ip)) return ip;
  }
  return undefined;
}

function addressObject(ip: string, { metadata }: Service, range: AddressRange, now: Date): UnknownObject {
  return {
    kind: 'IPAddress',
    apiVersion: 'networking.k8s.io/v1',
    metadata: {
      name: ip,
      uid: crypto.randomUUID(),
      creationTimestamp: formatTime(now),
      labels: {
        'ipaddress.kubernetes.io/ip-family': range.ipv6 ? 'IPv6' : 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: {
      parentRef: { group: '', resource: 'services', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' },
    },
  };
}

function reservePorts(
  { nodePorts }: ServiceRanges,
  next: Service,
  old: Service | undefined,
  { cache }: StrategyContext,
  plan: Accompanying,
  errors: FieldError[],
): void {
  const spec = next.spec ?? {};
  const before = old?.spec ? portsOf(old.spec) : [];
  const { namespace = '', name = '' } = next.metadata ?? {};
  const value = `${namespace}/${name}`;
  if (
    needsPorts(spec) &&
    !(spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts === false && !portsOf(spec).length)
  ) {
    const used = usedPorts(cache, namespace, name);
    const mine = new Map<number, number>();
    const claim = (port: number) => {
      if (before.includes(port) || plan.conditions.some(({ key }) => key === `${nodePortPrefix}${port}`)) return;
      plan.conditions.push({ key: `${nodePortPrefix}${port}`, modRevision: 0 });
      plan.operations.push({ op: 'put', key: `${nodePortPrefix}${port}`, value });
    };
    const free = (): number | undefined => {
      const size = nodePorts.last - nodePorts.first + 1;
      for (let i = 0; i < tries; i++) {
        const port = nodePorts.first + randomInt(size);
        if (!used.has(port) && ![...mine.values()].includes(port)) return port;
      }
      for (let port = nodePorts.first; port <= nodePorts.last; port++)
        if (!used.has(port) && ![...mine.values()].includes(port)) return port;
      return undefined;
    };
    for (const [i, port] of (spec.ports ?? []).entries()) {
      // The same number serves TCP and UDP of one port (DNS), as upstream gives it out.
      const wanted = port.nodePort || mine.get(port.port);
      const problem = wanted && !before.includes(wanted) ? portProblem(wanted, nodePorts, used) : undefined;
      const number = problem ? undefined : wanted || free();
      if (number) {
        port.nodePort = number;
        mine.set(port.port, number);
        claim(number);
        continue;
      }
      const message = `Invalid value: ${wanted ?? 0}: ${problem ?? 'failed to allocate a nodePort: range is full'}`;
      errors.push({ type: 'FieldValueInvalid', field: `spec.ports[${i}].nodePort`, message });
    }
    if (spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local' && !spec.healthCheckNodePort) {
      const port = free();
      if (port) spec.healthCheckNodePort = port;
    }
    if (spec.healthCheckNodePort) claim(spec.healthCheckNodePort);
  }
  const after = portsOf(spec);
  for (const port of before)
    if (!after.includes(port)) plan.operations.push({ op: 'delete', key: `${nodePortPrefix}${port}` });
}

function portProblem(port: number, { first, last }: ServiceRanges['nodePorts'], used: Set<number>): string | undefined {
  if (port < first || port > last)
    return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
  return used.has(port) ? 'provided port is already allocated' : undefined;
}

/** Node ports of all other services. */
function usedPorts(cache: CacheReader, namespace: string, name: string): Set<number> {
  const used = new Set<number>();
  for (const service of cache.list({ group: '', resource: 'services' })) {
    if (service.metadata?.namespace === namespace && service.metadata.name === name) continue;
    for (const port of portsOf(specOf(service))) used.add(port);
  }
  return used;
}
type CacheReader = StrategyContext['cache'];
