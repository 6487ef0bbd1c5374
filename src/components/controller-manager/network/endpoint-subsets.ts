/** The subsets of a service's Endpoints object: addresses with the same ports together, ready and not ready apart. */
import { stableJson } from '../../../machinery/api/hash.ts';
import type { Endpoints, Pod, Service } from '../../../machinery/api/types.ts';
import {
  canBeEndpoint,
  type EndpointPort,
  endpointPorts,
  familyOf,
  hostnameIn,
  isHeadless,
  podAddresses,
} from './service-pods.ts';

export type EndpointSubset = NonNullable<Endpoints['subsets']>[number];
export type EndpointAddress = NonNullable<EndpointSubset['addresses']>[number];

/** More addresses than these are cut off and the object is marked as over capacity. */
export const capacity = 1000;

/** One address per pod: of the service's first family. */
function addressOf(service: Service, pod: Pod): EndpointAddress | undefined {
  const addresses = podAddresses(pod);
  const family = service.spec?.ipFamilies?.[0];
  const ip = family ? addresses.find((address) => familyOf(address) === family) : addresses[0];
  if (!ip) return undefined;
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  const hostname = hostnameIn(service, pod);
  return {
    ip,
    ...(hostname ? { hostname } : {}),
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

interface PortedAddress {
  address: EndpointAddress;
  ready: boolean;
  ports: EndpointPort[];
}

export function endpointSubsets(service: Service, pods: Pod[]): EndpointSubset[] {
  const anyState = Boolean(service.spec?.publishNotReadyAddresses);
  const found: PortedAddress[] = [];
  for (const pod of pods) {
    if (!canBeEndpoint(pod, anyState)) continue;
    const address = addressOf(service, pod);
    if (!address) continue;
    const ports = endpointPorts(service, pod);
    if (ports.length === 0 && ((service.spec?.ports?.length ?? 0) > 0 || !isHeadless(service))) continue;
    const ready = anyState || pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
    found.push({ address, ready, ports });
  }
  return groupByPorts(found);
}

function groupByPorts(found: PortedAddress[]): EndpointSubset[] {
  const groups = Map.groupBy(found, ({ ports }) => stableJson(ports));
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, members]) => {
      const ready = sorted(members.filter((member) => member.ready));
      const notReady = sorted(members.filter((member) => !member.ready));
      const ports = [...(members[0]?.ports ?? [])].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
      return {
        ...(ready.length ? { addresses: ready } : {}),
        ...(notReady.length ? { notReadyAddresses: notReady } : {}),
        ...(ports.length
          ? {
              ports: ports.map(({ name, port, protocol, appProtocol }) => ({
                ...(name ? { name } : {}),
                port,
                protocol,
                ...(appProtocol ? { appProtocol } : {}),
              })),
            }
          : {}),
      };
    });
}

const sorted = (members: PortedAddress[]): EndpointAddress[] =>
  members
    .map(({ address }) => address)
    .sort((a, b) =>
      a.ip === b.ip ? ((a.targetRef?.uid ?? '') < (b.targetRef?.uid ?? '') ? -1 : 1) : a.ip < b.ip ? -1 : 1,
    );

/** Cuts to the capacity, ready addresses first. Answers the same list when it fits. */
export function withinCapacity(subsets: EndpointSubset[], most = capacity): EndpointSubset[] {
  const count = (key: 'addresses' | 'notReadyAddresses') =>
    subsets.reduce((sum, subset) => sum + (subset[key]?.length ?? 0), 0);
  if (count('addresses') + count('notReadyAddresses') <= most) return subsets;
  let room = most;
  const cut = (addresses: EndpointAddress[] | undefined) => {
    const kept = addresses?.slice(0, room) ?? [];
    room -= kept.length;
    return kept;
  };
  const ready = subsets.map(({ addresses }) => cut(addresses));
  const notReady = subsets.map(({ notReadyAddresses }) => cut(notReadyAddresses));
  return subsets.flatMap(({ ports }, index) => {
    const [addresses, notReadyAddresses] = [ready[index] ?? [], notReady[index] ?? []];
    if (addresses.length + notReadyAddresses.length === 0) return [];
    return {
      ...(addresses.length ? { addresses } : {}),
      ...(notReadyAddresses.length ? { notReadyAddresses } : {}),
      ...(ports ? { ports } : {}),
    };
  });
}
