/** Services and where they lead: Endpoints, EndpointSlices. */
import type { EndpointSlice, Endpoints, Service } from '../../../../machinery/api/types.ts';
import { labels, loadBalancerAddresses, shortened } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer, wide } from '../printer.ts';

function externalAddress({ spec, status }: Service): string {
  const externalIPs = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'ClusterIP':
    case 'NodePort':
      return externalIPs.join(',') || '<none>';
    case 'LoadBalancer': {
      const balanced = loadBalancerAddresses(status?.loadBalancer);
      return [...(balanced ? [balanced] : []), ...externalIPs].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

const servicePorts = ({ spec }: Service): string =>
  (spec?.ports ?? [])
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? ''}`)
    .join(',') || '<none>';

export const servicePrinter = printer<Service>({
  columns: [
    nameColumn,
    column('Type', 'string', 'How the service is reached.'),
    column('Cluster-IP', 'string', 'Address inside the cluster.'),
    column('External-IP', 'string', 'Addresses from outside.'),
    column('Port(s)', 'string', 'Ports, with node ports.'),
    ageColumn,
    wide('Selector', 'string', 'Labels of the pods behind the service.'),
  ],
  cells: (service, now) => [
    nameOf(service),
    service.spec?.type ?? '',
    service.spec?.clusterIPs?.[0] ?? '<none>',
    externalAddress(service),
    servicePorts(service),
    ageOf(service, now),
    labels(service.spec?.selector),
  ],
});

const hostPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

function endpointAddresses({ subsets = [] }: Endpoints): string {
  if (subsets.length === 0) return '<none>';
  const list = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => hostPort(ip, port))),
  );
  return shortened(list, 3, '');
}

export const endpointsPrinter = printer<Endpoints>({
  columns: [nameColumn, column('Endpoints', 'string', 'Addresses and ports.'), ageColumn],
  cells: (object, now) => [nameOf(object), endpointAddresses(object), ageOf(object, now)],
});

export const endpointSlicePrinter = printer<EndpointSlice>({
  columns: [
    nameColumn,
    column('AddressType', 'string', 'Kind of the addresses.'),
    column('Ports', 'string', 'Ports of every endpoint.'),
    column('Endpoints', 'string', 'Addresses.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.addressType ?? '',
    shortened(
      (object.ports ?? []).map(({ port, name }) => String(port ?? name ?? '*')),
      3,
      '<unset>',
    ),
    shortened(
      (object.endpoints ?? []).flatMap(({ addresses }) => addresses ?? []),
      3,
      '<unset>',
    ),
    ageOf(object, now),
  ],
});
