/**
 * The cluster's names (Kubernetes DNS specification 1.1.0) as a pure look-up over services and endpoint slices.
 */
import type { EndpointSlice, Service } from '../../../machinery/api/types.ts';
import type { DnsRecord } from '../chain.ts';

/** What the look-up reads; informers provide it. Keys are `namespace/name`. */
export interface ClusterView {
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): EndpointSlice[];
  hasNamespace(namespace: string): boolean;
  servicesByClusterIP(ip: string): Service[];
  /** `hostname.service.namespace` of endpoints with that address. */
  endpointNamesByIP(ip: string): string[];
}

export interface RecordOptions {
  /** `cluster.local.` */
  zone: string;
  ttl: number;
  pods: 'disabled' | 'insecure' | 'verified';
}

/** `undefined`: the name does not exist; an empty list: it exists, but has no such record. `cname` is resolved further by the caller. */
export type Lookup = { records: DnsRecord[]; additionals: DnsRecord[]; cname?: string } | undefined;

interface EndpointAddress {
  hostname: string;
  address: string;
  ports: { name: string; protocol: string; port: number }[];
}

const isV4 = (address: string) => !address.includes(':');

function endpointAddresses(slices: EndpointSlice[]): EndpointAddress[] {
  const byAddress = new Map<string, EndpointAddress>();
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const address of endpoint.addresses) {
        const hostname = endpoint.hostname || address.replaceAll('.', '-').replaceAll(':', '-');
        const entry = byAddress.get(address) ?? { hostname, address, ports: [] };
        for (const port of slice.ports ?? []) {
          if (port.port)
            entry.ports.push({
              name: port.name ?? '',
              protocol: (port.protocol ?? 'TCP').toLowerCase(),
              port: port.port,
            });
        }
        byAddress.set(address, entry);
      }
    }
  }
  return [...byAddress.values()];
}

const clusterIPs = (service: Service): string[] =>
  (service.spec?.clusterIPs?.length ? service.spec.clusterIPs : [service.spec?.clusterIP ?? '']).filter(
    (ip) => ip && ip !== 'None',
  );

/** Answers a name below the zone; `labels` are its labels without the zone, leftmost first. */
export function lookup(view: ClusterView, options: RecordOptions, name: string, type: string): Lookup {
  const relative = name === options.zone ? '' : name.slice(0, -(options.zone.length + 1));
  const labels = relative ? relative.split('.') : [];
  const address = (owner: string, ip: string): DnsRecord[] => {
    const wanted = isV4(ip) ? 'A' : 'AAAA';
    return type === wanted || type === 'ANY' ? [{ name: owner, type: wanted, ttl: options.ttl, data: ip }] : [];
  };
  const found = (records: DnsRecord[], additionals: DnsRecord[] = []): Lookup => ({ records, additionals });

  if (!labels.length) return found([]);
  if (relative === 'dns-version')
    return found(type === 'TXT' ? [{ name, type: 'TXT', ttl: options.ttl, data: '1.1.0' }] : []);
  const kind = labels.at(-1);
  const namespace = labels.at(-2);
  if (kind !== 'svc' && kind !== 'pod') return undefined;
  if (!namespace) return found([]);
  if (!view.hasNamespace(namespace)) return undefined;
  const rest = labels.slice(0, -2);
  if (!rest.length) return found([]);
  if (kind === 'pod') return podLookup(rest, options, address, name);

  const service = view.service(namespace, rest.at(-1) as string);
  if (!service) return undefined;
  const owner = `${rest.at(-1)}.${namespace}.svc.${options.zone}`;
  if (service.spec?.type === 'ExternalName') {
    if (rest.length > 1) return undefined;
    const target = (service.spec.externalName ?? '').replace(/\.$/, '').toLowerCase();
    const cname: DnsRecord = { name, type: 'CNAME', ttl: options.ttl, data: target };
    return { records: [cname], additionals: [], ...(type === 'CNAME' ? {} : { cname: `${target}.` }) };
  }
  const ips = clusterIPs(service);
  const headless = ips.length === 0;
  const endpoints = headless ? endpointAddresses(view.slices(namespace, rest.at(-1) as string)) : [];

  if (rest.length === 1) {
    if (headless && !endpoints.length) return undefined;
    if (type === 'SRV') return found(...srvRecords(name, owner, service, endpoints, ips, options.ttl));
    return found((headless ? endpoints.map((e) => e.address) : ips).flatMap((ip) => address(name, ip)));
  }
  if (rest.length === 2) {
    const matching = endpoints.filter((e) => e.hostname === rest[0]);
    return matching.length ? found(matching.flatMap((e) => address(name, e.address))) : undefined;
  }
  if (rest.length === 3 && rest[0]?.startsWith('_') && rest[1]?.startsWith('_')) {
    const port = rest[0].slice(1);
    const protocol = rest[1].slice(1);
    const [records, additionals] = srvRecords(name, owner, service, endpoints, ips, options.ttl, port, protocol);
    if (!records.length) return undefined;
    return type === 'SRV' || type === 'ANY' ? found(records, additionals) : found([]);
  }
  return undefined;
}

/** `10-244-1-5.namespace.pod.zone`: the address is in the name. */
function podLookup(
  rest: string[],
  options: RecordOptions,
  address: (owner: string, ip: string) => DnsRecord[],
  name: string,
): Lookup {
  if (options.pods === 'disabled' || rest.length !== 1) return undefined;
  const ip = (rest[0] as string).replaceAll('-', '.');
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(ip) || ip.split('.').some((part) => Number(part) > 255)) return undefined;
  return { records: address(name, ip), additionals: [] };
}

function srvRecords(
  name: string,
  owner: string,
  service: Service,
  endpoints: EndpointAddress[],
  ips: string[],
  ttl: number,
  port?: string,
  protocol?: string,
): [DnsRecord[], DnsRecord[]] {
  const wanted = (p: { name: string; protocol: string }) =>
    port === undefined || (p.name === port && p.protocol === protocol);
  const targets = ips.length
    ? (service.spec?.ports ?? [])
        .map((p) => ({
          name: p.name ?? '',
          protocol: (p.protocol ?? 'TCP').toLowerCase(),
          port: p.port,
          target: owner,
          addresses: ips,
        }))
        .filter(wanted)
    : endpoints.flatMap((e) =>
        e.ports.filter(wanted).map((p) => ({ ...p, target: `${e.hostname}.${owner}`, addresses: [e.address] })),
      );
  const weight = Math.max(1, Math.floor(100 / Math.max(1, targets.length)));
  const additionals = new Map<string, DnsRecord>();
  for (const { target, addresses } of targets) {
    for (const ip of addresses)
      additionals.set(`${target} ${ip}`, { name: target, type: isV4(ip) ? 'A' : 'AAAA', ttl, data: ip });
  }
  return [
    targets.map((t) => ({
      name,
      type: 'SRV',
      ttl,
      data: { priority: 0, weight, port: t.port, target: t.target.replace(/\.$/, '') },
    })),
    [...additionals.values()],
  ];
}

/** The address that a reverse name stands for, or undefined for names of other zones. */
export function addressOfReverseName(name: string): string | undefined {
  const v4 = /^((?:\d{1,3}\.){4})in-addr\.arpa\.$/.exec(name);
  if (v4?.[1]) return v4[1].split('.').filter(Boolean).reverse().join('.');
  return undefined;
}

/** PTR records of cluster IPs and endpoints; undefined when the cluster does not know the address. */
export function reverseLookup(view: ClusterView, options: RecordOptions, name: string): Lookup {
  const ip = addressOfReverseName(name);
  if (!ip) return undefined;
  const names = [
    ...view.servicesByClusterIP(ip).map((s) => `${s.metadata?.name}.${s.metadata?.namespace}.svc`),
    ...view.endpointNamesByIP(ip).map((prefix) => `${prefix}.svc`),
  ];
  if (!names.length) return undefined;
  return {
    records: names.map((n) => ({
      name,
      type: 'PTR',
      ttl: options.ttl,
      data: `${n}.${options.zone}`.replace(/\.$/, ''),
    })),
    additionals: [],
  };
}

/** The zone's SOA: negative answers carry it. */
export function soaRecord(zone: string, ttl: number): DnsRecord {
  const bare = zone.replace(/\.$/, '');
  return {
    name: zone,
    type: 'SOA',
    ttl,
    data: {
      mname: `ns.dns.${bare}`,
      rname: `hostmaster.${bare}`,
      serial: Math.floor(Date.now() / 1000),
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttl,
    },
  };
}
