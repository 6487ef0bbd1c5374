/** Services and EndpointSlices as the proxy sees them: one entry per service port, with the endpoints traffic may go to. */
import type { EndpointSlice, Service } from '../../machinery/api/types.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';
export type TrafficPolicy = 'Cluster' | 'Local';

export interface ServicePortInfo {
  /** `namespace/name:port`, or `namespace/name` for an unnamed port: upstream's ServicePortName. */
  name: string;
  namespacedName: string;
  portName: string;
  protocol: Protocol;
  clusterIP: string;
  port: number;
  nodePort?: number;
  externalIPs: string[];
  loadBalancerIPs: string[];
  loadBalancerSourceRanges: string[];
  internalPolicy: TrafficPolicy;
  externalPolicy: TrafficPolicy;
  healthCheckNodePort?: number;
  /** Present with session affinity ClientIP. */
  affinitySeconds?: number;
}

export interface Endpoint {
  ip: string;
  port: number;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  /** On this node. */
  local: boolean;
  /** Node names that topology hints ask for. */
  forNodes?: string[];
  forZones?: string[];
}

/** Labels that take a Service away from kube-proxy. */
const otherProxyLabel = 'service.kubernetes.io/service-proxy-name';

/** IPv4 service ports that this proxy serves; headless and external-name services have none. */
export function servicePorts(services: Service[]): ServicePortInfo[] {
  return services.flatMap((service) => {
    const { metadata, spec } = service;
    if (!metadata || !spec || spec.type === 'ExternalName' || metadata.labels?.[otherProxyLabel]) return [];
    const clusterIP = (spec.clusterIPs ?? [spec.clusterIP]).find((ip) => ip && ip !== 'None' && ip.includes('.'));
    if (!clusterIP) return [];
    const namespacedName = `${metadata.namespace}/${metadata.name}`;
    const ingress = service.status?.loadBalancer?.ingress ?? [];
    return (spec.ports ?? []).map((port): ServicePortInfo => {
      const affinity =
        spec.sessionAffinity === 'ClientIP'
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800)
          : undefined;
      return {
        name: port.name ? `${namespacedName}:${port.name}` : namespacedName,
        namespacedName,
        portName: port.name ?? '',
        protocol: (port.protocol ?? 'TCP') as Protocol,
        clusterIP,
        port: port.port,
        ...(port.nodePort ? { nodePort: port.nodePort } : {}),
        externalIPs: (spec.externalIPs ?? []).filter((ip) => ip.includes('.')),
        loadBalancerIPs:
          spec.type === 'LoadBalancer'
            ? ingress.filter((i) => i.ipMode !== 'Proxy').flatMap((i) => (i.ip?.includes('.') ? [i.ip] : []))
            : [],
        loadBalancerSourceRanges: (spec.loadBalancerSourceRanges ?? [])
          .map((range) => range.trim())
          .filter((range) => range.includes('.')),
        internalPolicy: spec.internalTrafficPolicy === 'Local' ? 'Local' : 'Cluster',
        externalPolicy: spec.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster',
        ...(spec.healthCheckNodePort ? { healthCheckNodePort: spec.healthCheckNodePort } : {}),
        ...(affinity === undefined ? {} : { affinitySeconds: affinity }),
      };
    });
  });
}

/** Endpoints by ServicePortName, without duplicates, in a stable order. */
export function endpointsByPort(slices: EndpointSlice[], nodeName: string): Map<string, Endpoint[]> {
  const found = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices) {
    const service = slice.metadata?.labels?.['kubernetes.io/service-name'];
    if (!service || slice.addressType !== 'IPv4') continue;
    for (const port of slice.ports ?? []) {
      if (port.port === undefined) continue;
      const base = `${slice.metadata?.namespace}/${service}`;
      const name = port.name ? `${base}:${port.name}` : base;
      const endpoints = found.get(name) ?? new Map<string, Endpoint>();
      found.set(name, endpoints);
      for (const endpoint of slice.endpoints ?? []) {
        const ready = endpoint.conditions?.ready ?? true;
        const ip = endpoint.addresses[0];
        if (!ip) continue;
        const entry: Endpoint = {
          ip,
          port: port.port,
          ready,
          serving: endpoint.conditions?.serving ?? ready,
          terminating: endpoint.conditions?.terminating ?? false,
          local: endpoint.nodeName === nodeName,
          ...(endpoint.hints?.forNodes?.length ? { forNodes: endpoint.hints.forNodes.map((n) => n.name) } : {}),
          ...(endpoint.hints?.forZones?.length ? { forZones: endpoint.hints.forZones.map((z) => z.name) } : {}),
        };
        const before = endpoints.get(`${ip}:${port.port}`);
        if (!before || (!before.ready && ready)) endpoints.set(`${ip}:${port.port}`, entry);
      }
    }
  }
  const order = (a: Endpoint, b: Endpoint) => (a.ip === b.ip ? a.port - b.port : a.ip < b.ip ? -1 : 1);
  return new Map([...found].map(([name, endpoints]) => [name, [...endpoints.values()].sort(order)]));
}

export interface ChosenEndpoints {
  /** For policy Cluster. */
  cluster: Endpoint[];
  /** For policy Local. */
  local: Endpoint[];
  /** Whether any endpoint exists anywhere that could serve. */
  hasAny: boolean;
}

/**
 * Which endpoints traffic goes to: the ready ones, or, when none is ready, those that terminate but still serve
 * (KEP-1669); topology hints narrow the cluster-wide choice when every endpoint has one.
 */
export function chooseEndpoints(endpoints: Endpoint[], node: { name: string; zone?: string }): ChosenEndpoints {
  const preferReady = (list: Endpoint[]) => {
    const ready = list.filter((e) => e.ready);
    return ready.length ? ready : list.filter((e) => e.serving && e.terminating);
  };
  const usable = preferReady(endpoints);
  const narrowed = narrow(usable, node);
  const local = preferReady(endpoints.filter((e) => e.local));
  return { cluster: narrowed, local, hasAny: usable.length > 0 };
}

function narrow(endpoints: Endpoint[], node: { name: string; zone?: string }): Endpoint[] {
  if (endpoints.length && endpoints.every((e) => e.forNodes)) {
    const near = endpoints.filter((e) => e.forNodes?.includes(node.name));
    if (near.length) return near;
  }
  if (node.zone && endpoints.length && endpoints.every((e) => e.forZones)) {
    const near = endpoints.filter((e) => e.forZones?.includes(node.zone as string));
    if (near.length) return near;
  }
  return endpoints;
}
