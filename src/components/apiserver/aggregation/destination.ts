/** Where the server behind an APIService is: at its service's cluster IP, or, with --enable-aggregator-routing, at an endpoint. */
import type { EndpointSlice, Service, UnknownObject } from '../../../machinery/api/types.ts';
import type { CacheReader } from '../types.ts';
import { type ApiService, type ApiServiceCondition, localAvailability } from './api-service.ts';

export interface Destination {
  host: string;
  port: number;
}

export interface Backend {
  /** Absent: nothing answers; `condition` says why. */
  destinations: Destination[];
  condition?: ApiServiceCondition;
}

const unavailable = (reason: string, message: string): Backend => ({
  destinations: [],
  condition: { type: 'Available', status: 'False', reason, message },
});

/** The addresses to try, or what is missing, in upstream's words. `routing`: past kube-proxy, to the endpoints themselves. */
export function backendOf({ spec }: ApiService, cache: CacheReader, routing: boolean): Backend {
  const { namespace = '', name = '', port = 443 } = spec?.service ?? {};
  if (!spec?.service) return { destinations: [], condition: localAvailability };
  const service = cache.get({ group: '', resource: 'services' }, namespace, name) as Service | undefined;
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  if (!service) return unavailable('ServiceNotFound', `${where} is not present`);
  const { type, clusterIP = '', externalName = '', ports = [] } = service.spec ?? {};
  if (type === 'ExternalName') return { destinations: [{ host: externalName, port }] };
  const found = ports.find((one) => one.port === port);
  if (!found) return unavailable('ServicePortError', `${where} is not listening on port ${port}`);
  const slices = cache
    .list({ group: 'discovery.k8s.io', resource: 'endpointslices' }, namespace)
    .filter(({ metadata }) => metadata?.labels?.['kubernetes.io/service-name'] === name);
  if (!slices.length) return unavailable('EndpointsNotFound', `cannot find endpointslices for ${where}`);
  const endpoints = slices.flatMap((slice) => endpointsOf(slice, found.name ?? ''));
  if (!endpoints.length) {
    const missing = `endpointslices for ${where} have no addresses with port name ${JSON.stringify(found.name ?? '')}`;
    return unavailable('MissingEndpoints', missing);
  }
  if (routing || !clusterIP || clusterIP === 'None') return { destinations: endpoints };
  return { destinations: [{ host: clusterIP, port }] };
}

function endpointsOf(object: UnknownObject, portName: string): Destination[] {
  const { endpoints, ports } = object as unknown as EndpointSlice;
  const port = (ports ?? []).find((one) => (one.name ?? '') === portName)?.port;
  if (!port) return [];
  return (endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses.slice(0, 1).map((host) => ({ host, port })));
}

/** One of them by chance, so that the load is shared. */
export const pick = (destinations: Destination[]): Destination | undefined =>
  destinations[Math.floor(Math.random() * destinations.length)];
