/** What the EndpointSlices of a service should be: endpoints from its pods, labels from the service. */
import { controllerReference } from '../../../machinery/api/owners.ts';
import type { EndpointSlice, Node, Pod, Service } from '../../../machinery/api/types.ts';
import { services } from '../../../machinery/client/resources.ts';
import {
  type AddressType,
  canBeEndpoint,
  endpointPorts,
  familyOf,
  headlessLabel,
  hostnameIn,
  isHeadless,
  podAddresses,
} from './service-pods.ts';
import type { Endpoint, EndpointGroup } from './slice-plan.ts';
import { triggerTimeAnnotation } from './trigger-time.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const sliceManager = 'endpointslice-controller.k8s.io';
const zoneLabel = 'topology.kubernetes.io/zone';
const reservedLabels = new Set([serviceNameLabel, managedByLabel, headlessLabel]);

/** The families that a service has; before the API server has set them, those that its pods have. */
export function addressTypesOf({ spec }: Service, pods: Pod[]): AddressType[] {
  if (spec?.ipFamilies?.length) return spec.ipFamilies as AddressType[];
  if (spec?.clusterIP && spec.clusterIP !== 'None') return [familyOf(spec.clusterIP)];
  const found = new Set(pods.flatMap((pod) => podAddresses(pod).map(familyOf)));
  return found.size > 0 ? [...found].sort() : ['IPv4'];
}

export interface ServiceEndpoints {
  groups: EndpointGroup[];
  /** Pods left out because their node is not known (yet). */
  withoutNode: Pod[];
}

/** The endpoints of one address type, grouped by their ports (named ports can differ between pods). */
export function serviceEndpoints(
  service: Service,
  pods: Pod[],
  addressType: AddressType,
  nodeOf: (name: string) => Node | undefined,
): ServiceEndpoints {
  const groups = new Map<string, EndpointGroup>();
  const withoutNode: Pod[] = [];
  for (const pod of pods) {
    if (!canBeEndpoint(pod, true)) continue;
    const nodeName = pod.spec?.nodeName;
    const node = nodeName ? nodeOf(nodeName) : undefined;
    if (nodeName && !node && !service.spec?.publishNotReadyAddresses) {
      withoutNode.push(pod);
      continue;
    }
    const addresses = podAddresses(pod).filter((address) => familyOf(address) === addressType);
    if (addresses.length === 0) continue;
    const ports = endpointPorts(service, pod);
    // Only a headless service can do without ports.
    if (ports.length === 0 && ((service.spec?.ports?.length ?? 0) > 0 || !isHeadless(service))) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(service, pod, addresses, node));
  }
  return { groups: [...groups.values()], withoutNode };
}

function endpointOf(service: Service, pod: Pod, addresses: string[], node: Node | undefined): Endpoint {
  const serving = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  const terminating = Boolean(pod.metadata?.deletionTimestamp);
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  const zone = node?.metadata?.labels?.[zoneLabel];
  const hostname = hostnameIn(service, pod);
  const ready = Boolean(service.spec?.publishNotReadyAddresses) || (serving && !terminating);
  const hints = ready ? hintsOf(service, pod.spec?.nodeName, zone) : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(hostname ? { hostname } : {}),
    ...(hints ? { hints } : {}),
  };
}

/** `spec.trafficDistribution`: where an endpoint's traffic should come from. */
function hintsOf({ spec }: Service, nodeName: string | undefined, zone: string | undefined): Endpoint['hints'] {
  const wish = spec?.trafficDistribution;
  if (wish !== 'PreferClose' && wish !== 'PreferSameZone' && wish !== 'PreferSameNode') return undefined;
  if (!zone && (wish !== 'PreferSameNode' || !nodeName)) return undefined;
  return {
    ...(wish === 'PreferSameNode' && nodeName ? { forNodes: [{ name: nodeName }] } : {}),
    ...(zone ? { forZones: [{ name: zone }] } : {}),
  };
}

export function sliceLabels(service: Service): Record<string, string> {
  const own = Object.entries(service.metadata?.labels ?? {}).filter(([key]) => !reservedLabels.has(key));
  return {
    ...Object.fromEntries(own),
    ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
    [serviceNameLabel]: service.metadata?.name ?? '',
    [managedByLabel]: sliceManager,
  };
}

/** A slice as it is to be created. */
export function newSlice(
  service: Service,
  addressType: AddressType,
  { ports, endpoints }: EndpointGroup,
  triggerTime: string | undefined,
): EndpointSlice {
  const { namespace = '', name = '' } = service.metadata ?? {};
  return {
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: sliceLabels(service),
      ...(triggerTime ? { annotations: { [triggerTimeAnnotation]: triggerTime } } : {}),
      ownerReferences: [controllerReference(service, services)],
    },
    addressType,
    endpoints,
    ports,
  };
}

export function withTriggerTime(slice: EndpointSlice, triggerTime: string | undefined): EndpointSlice {
  const { [triggerTimeAnnotation]: _old, ...annotations } = slice.metadata?.annotations ?? {};
  return {
    ...slice,
    metadata: {
      ...slice.metadata,
      annotations: { ...annotations, ...(triggerTime ? { [triggerTimeAnnotation]: triggerTime } : {}) },
    },
  };
}
