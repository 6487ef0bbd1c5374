/** What a pod asks for as a whole: init containers, sidecars, pod-level resources and overhead (upstream's resource helpers). */
import { addResourceLists, maxResourceLists, parseResourceList, type ResourceQuantities } from './quantity.ts';
import type { Container, Pod, PodSpec } from './types.ts';

/** An init container that keeps running beside the pod's containers. */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

export interface PodResourceOptions {
  /** Leaves `spec.overhead` out. */
  excludeOverhead?: boolean;
  /** Values for containers that do not request a resource, as scoring assumes. */
  nonZero?: ResourceQuantities;
}

function total(spec: PodSpec, of: (container: Container) => ResourceQuantities): ResourceQuantities {
  let sum: ResourceQuantities = {};
  for (const container of spec.containers) sum = addResourceLists(sum, of(container));
  let sidecars: ResourceQuantities = {};
  let peak: ResourceQuantities = {};
  for (const container of spec.initContainers ?? []) {
    const wanted = of(container);
    if (isSidecar(container)) {
      sum = addResourceLists(sum, wanted);
      sidecars = addResourceLists(sidecars, wanted);
      peak = maxResourceLists(peak, sidecars);
    } else {
      // An init container runs beside the sidecars started before it.
      peak = maxResourceLists(peak, addResourceLists(sidecars, wanted));
    }
  }
  return maxResourceLists(sum, peak);
}

/** Pod-level resources (`spec.resources`) take the place of the containers' sum. */
function withPodLevel(sum: ResourceQuantities, podLevel: Record<string, string> | undefined): ResourceQuantities {
  if (!podLevel) return sum;
  const supported = Object.entries(parseResourceList(podLevel)).filter(
    ([name]) => name === 'cpu' || name === 'memory' || name.startsWith('hugepages-'),
  );
  return { ...sum, ...Object.fromEntries(supported) };
}

/** The requests that the scheduler and quotas count. */
export function podRequests(pod: Pod, options: PodResourceOptions = {}): ResourceQuantities {
  const spec = pod.spec;
  if (!spec) return {};
  const requests = total(spec, (container) => ({
    ...options.nonZero,
    ...parseResourceList(container.resources?.requests),
  }));
  const whole = withPodLevel(requests, spec.resources?.requests);
  return options.excludeOverhead ? whole : addResourceLists(whole, parseResourceList(spec.overhead));
}

/** The limits; overhead is added only to resources that are limited. */
export function podLimits(pod: Pod, options: PodResourceOptions = {}): ResourceQuantities {
  const spec = pod.spec;
  if (!spec) return {};
  const limits = withPodLevel(
    total(spec, (container) => parseResourceList(container.resources?.limits)),
    spec.resources?.limits,
  );
  if (options.excludeOverhead) return limits;
  const overhead = Object.entries(parseResourceList(spec.overhead)).filter(([name]) => limits[name]);
  return addResourceLists(limits, Object.fromEntries(overhead));
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/** Guaranteed: every container limits cpu and memory to what it requests; BestEffort: none asks for anything. */
export function qosClassOf(pod: Pod): QosClass {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const podLevel = pod.spec?.resources;
  const lists = podLevel?.requests || podLevel?.limits ? [podLevel] : containers.map(({ resources }) => resources);
  let asks = false;
  let guaranteed = true;
  for (const resources of lists) {
    const requests = parseResourceList(resources?.requests);
    const limits = parseResourceList(resources?.limits);
    for (const name of ['cpu', 'memory']) {
      const request = requests[name]?.nano ?? 0n;
      const limit = limits[name]?.nano ?? 0n;
      if (request > 0n || limit > 0n) asks = true;
      if (limit === 0n || (requests[name] && request !== limit)) guaranteed = false;
    }
  }
  return !asks ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}

/** Succeeded and Failed pods no longer use resources. */
export const isPodTerminated = (pod: Pod): boolean =>
  pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** `spec.priority`, 0 where there is none. */
export const podPriority = (pod: Pod): number => pod.spec?.priority ?? 0;
