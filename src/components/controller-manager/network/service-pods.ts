/** How a pod stands behind a service: its ports, its addresses, whether and how it takes part. */
import type { Pod, Service, ServicePort } from '../../../machinery/api/types.ts';

export interface EndpointPort {
  name: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

export const isHeadless = ({ spec }: Service): boolean => spec?.clusterIP === 'None';
export const hasSelector = ({ spec }: Service): boolean => Object.keys(spec?.selector ?? {}).length > 0;

/** Reserved for the controllers: a service's own labels of these names are not copied. */
export const headlessLabel = 'service.kubernetes.io/headless';

/** Whether the pod can be an endpoint at all; being deleted it can only where `includeTerminating`. */
export function canBeEndpoint({ metadata, status }: Pod, includeTerminating: boolean): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return false;
  if (!status?.podIP && !status?.podIPs?.length) return false;
  return includeTerminating || !metadata?.deletionTimestamp;
}

export const podAddresses = ({ status }: Pod): string[] =>
  status?.podIPs?.length ? status.podIPs.map(({ ip }) => ip) : status?.podIP ? [status.podIP] : [];

export type AddressType = 'IPv4' | 'IPv6';
export const familyOf = (address: string): AddressType => (address.includes(':') ? 'IPv6' : 'IPv4');

/** The pod's own port that a service port leads to; undefined when its target is a name that the pod does not have. */
export function targetPort({ spec }: Pod, { targetPort: target, port, protocol = 'TCP' }: ServicePort) {
  if (target === undefined || target === 0 || target === '') return port;
  if (typeof target === 'number') return target;
  const sidecars = spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? [];
  for (const { ports } of [...(spec?.containers ?? []), ...sidecars])
    for (const { name, containerPort, protocol: own = 'TCP' } of ports ?? [])
      if (name === target && own === protocol) return containerPort;
  return undefined;
}

export function endpointPorts({ spec }: Service, pod: Pod): EndpointPort[] {
  return (spec?.ports ?? []).flatMap((servicePort) => {
    const port = targetPort(pod, servicePort);
    if (port === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });
}

/** Pods of a headless service can have a name of their own below the service's. */
export function hostnameIn({ metadata }: Service, { spec, metadata: podMetadata }: Pod): string | undefined {
  const named = spec?.hostname && spec.subdomain === metadata?.name && podMetadata?.namespace === metadata?.namespace;
  return named ? spec.hostname : undefined;
}

/** Whether a change of a pod can change any service's endpoints. */
export function endpointChanged(old: Pod, pod: Pod): boolean {
  const facts = ({ metadata, spec, status }: Pod) => [
    metadata?.uid,
    metadata?.deletionTimestamp,
    spec?.nodeName,
    spec?.hostname,
    spec?.subdomain,
    status?.phase,
    status?.podIP,
    status?.podIPs,
    status?.conditions?.find(({ type }) => type === 'Ready')?.status,
  ];
  return JSON.stringify(facts(old)) !== JSON.stringify(facts(pod));
}

export const labelsChanged = (old: Pod, pod: Pod): boolean =>
  JSON.stringify(old.metadata?.labels) !== JSON.stringify(pod.metadata?.labels);
