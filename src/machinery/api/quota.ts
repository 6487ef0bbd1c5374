/** What objects use of a ResourceQuota: shared by the admission of new objects and the controller that recounts. */
import { isPodTerminated, podLimits, podRequests, qosClassOf } from './pod-resources.ts';
import { addResourceLists, parseQuantity, quantityOf, type ResourceQuantities } from './quantity.ts';
import type { KubeObject, PersistentVolumeClaim, Pod, ResourceQuota, Service } from './types.ts';

export interface QuotaResource {
  group: string;
  resource: string;
}

const one = quantityOf(1);

/** Names under which objects of these resources are counted, besides `count/<resource>.<group>`. */
const plainCounts = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
]);

export const countName = ({ group, resource }: QuotaResource): string =>
  group ? `count/${resource}.${group}` : `count/${resource}`;

/** Everything that one object uses. */
export function usageOf(type: QuotaResource, object: KubeObject): ResourceQuantities {
  const counts: ResourceQuantities = { [countName(type)]: one };
  if (type.group !== '') return counts;
  switch (type.resource) {
    case 'pods':
      return { ...counts, ...podUsage(object as Pod) };
    case 'services':
      return { ...counts, ...serviceUsage(object as Service) };
    case 'persistentvolumeclaims':
      return { ...counts, ...claimUsage(object as PersistentVolumeClaim) };
    default:
      return plainCounts.has(type.resource) ? { ...counts, [type.resource]: one } : counts;
  }
}

/** A pod that has ended uses nothing but its place in `count/pods`. */
function podUsage(pod: Pod): ResourceQuantities {
  if (isPodTerminated(pod) || isBeyondGrace(pod, Date.now())) return {};
  const usage: ResourceQuantities = { pods: one };
  for (const [name, quantity] of Object.entries(podRequests(pod))) {
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage') usage[name] = quantity;
    usage[`requests.${name}`] = quantity;
  }
  for (const [name, quantity] of Object.entries(podLimits(pod))) usage[`limits.${name}`] = quantity;
  return usage;
}

/** Its kubelet should have ended it by now: it is not counted for ever. */
function isBeyondGrace({ metadata }: Pod, now: number): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata ?? {};
  if (!deletionTimestamp || deletionGracePeriodSeconds === undefined) return false;
  return Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000 < now;
}

function serviceUsage({ spec }: Service): ResourceQuantities {
  const usage: ResourceQuantities = { services: one };
  const ports = spec?.ports?.length ?? 0;
  if (spec?.type === 'NodePort') usage['services.nodeports'] = quantityOf(ports);
  if (spec?.type === 'LoadBalancer') {
    usage['services.loadbalancers'] = one;
    const allocated =
      spec.allocateLoadBalancerNodePorts === false ? spec.ports?.filter(({ nodePort }) => nodePort) : spec.ports;
    usage['services.nodeports'] = quantityOf(allocated?.length ?? 0);
  }
  return usage;
}

function claimUsage({ spec, status }: PersistentVolumeClaim): ResourceQuantities {
  const usage: ResourceQuantities = { persistentvolumeclaims: one };
  const asked = status?.allocatedResources?.['storage'] ?? spec?.resources?.requests?.['storage'];
  if (asked) usage['requests.storage'] = parseQuantity(asked);
  const { storageClassName } = spec ?? {};
  if (storageClassName) {
    const prefix = `${storageClassName}.storageclass.storage.k8s.io/`;
    usage[`${prefix}persistentvolumeclaims`] = one;
    if (asked) usage[`${prefix}requests.storage`] = parseQuantity(asked);
  }
  return usage;
}

/** Whether the quota's scopes let it count the object: only pods have scopes, others are counted by quotas without. */
export function inScope({ spec }: ResourceQuota, type: QuotaResource, object: KubeObject): boolean {
  const requirements = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: undefined })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (requirements.length === 0) return true;
  if (type.group !== '' || type.resource !== 'pods') return false;
  const pod = object as Pod;
  return requirements.every(({ scopeName, operator, values }) => {
    if (scopeName !== 'PriorityClass') return hasScope(pod, scopeName) !== (operator === 'DoesNotExist');
    const name = pod.spec?.priorityClassName ?? '';
    switch (operator) {
      case 'In':
        return (values ?? []).includes(name);
      case 'NotIn':
        return !(values ?? []).includes(name);
      default:
        return (name !== '') === (operator === 'Exists');
    }
  });
}

function hasScope(pod: Pod, scope: string): boolean {
  const isTerminating = (pod.spec?.activeDeadlineSeconds ?? -1) >= 0;
  switch (scope) {
    case 'Terminating':
      return isTerminating;
    case 'NotTerminating':
      return !isTerminating;
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort';
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort';
    case 'CrossNamespacePodAffinity':
      return [pod.spec?.affinity?.podAffinity, pod.spec?.affinity?.podAntiAffinity]
        .flatMap((affinity) => [
          ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
          ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => term.podAffinityTerm),
        ])
        .some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined);
    default:
      return false;
  }
}

/** Which resources have to be counted for these names of `hard`. */
export function countedResources(hard: string[]): QuotaResource[] {
  const found = new Map<string, QuotaResource>();
  const add = (group: string, resource: string) => found.set(`${group}/${resource}`, { group, resource });
  for (const name of hard) {
    const counted = /^count\/([^.]+)(?:\.(.+))?$/.exec(name);
    if (counted) add(counted[2] ?? '', counted[1] as string);
    else if (name === 'requests.storage' || name.endsWith('persistentvolumeclaims') || name.includes('.storageclass.'))
      add('', 'persistentvolumeclaims');
    else if (name === 'services' || name.startsWith('services.')) add('', 'services');
    else if (plainCounts.has(name)) add('', name);
    else add('', 'pods');
  }
  return [...found.values()];
}

/** The sum over objects, of the names in `hard` alone; those of which nothing is used are 0. */
export function sumUsage(hard: string[], usages: ResourceQuantities[]): ResourceQuantities {
  const sum = usages.reduce(addResourceLists, {});
  return Object.fromEntries(hard.map((name) => [name, sum[name] ?? quantityOf(0)]));
}
