/** Which services a change of a pod concerns. */
import { mapSelector, matchesSelector } from '../../../machinery/api/selectors.ts';
import type { Pod, Service } from '../../../machinery/api/types.ts';
import { keyOf } from '../../../machinery/informer/store.ts';
import type { Informer } from '../../../machinery/informer/types.ts';
import { endpointChanged, hasSelector, labelsChanged } from './service-pods.ts';

const namespaceIndex = 'namespace';

export const podsOf = (informer: Informer<Pod>, { metadata, spec }: Service): Pod[] => {
  const selector = mapSelector(spec?.selector ?? {});
  return informer.store
    .byIndex(namespaceIndex, metadata?.namespace ?? '')
    .filter((pod) => matchesSelector(selector, pod.metadata?.labels));
};

/** Milliseconds for which changes are collected: many pods mean large objects, not worth a write for each pod. */
export const batchMs = (podCount: number): number => (podCount <= 20 ? 0 : Math.min(1000, podCount * 2));

/** Calls `enqueue` with the keys of services whose endpoints may have changed with a pod. */
export function watchServicePods(
  podInformer: Informer<Pod>,
  serviceInformer: Informer<Service>,
  enqueue: (key: string) => void,
) {
  const namespaceOf = ({ metadata }: Pod | Service): string[] => [metadata?.namespace ?? ''];
  podInformer.addIndex(namespaceIndex, namespaceOf);
  serviceInformer.addIndex(namespaceIndex, namespaceOf);
  const concerned = (pod: Pod): Set<string> => {
    const keys = new Set<string>();
    for (const service of serviceInformer.store.byIndex(namespaceIndex, pod.metadata?.namespace ?? '')) {
      if (!hasSelector(service) || service.spec?.type === 'ExternalName') continue;
      if (matchesSelector(mapSelector(service.spec?.selector ?? {}), pod.metadata?.labels)) keys.add(keyOf(service));
    }
    return keys;
  };
  const enqueueAll = (pod: Pod) => concerned(pod).forEach(enqueue);
  podInformer.addHandler({
    onAdd: enqueueAll,
    onDelete: enqueueAll,
    onUpdate(old, pod) {
      const relabelled = labelsChanged(old, pod);
      if (!relabelled && !endpointChanged(old, pod)) return;
      const after = concerned(pod);
      if (!relabelled) return after.forEach(enqueue);
      const before = concerned(old);
      const changed = endpointChanged(old, pod);
      // With the same facts, only services that won or lost the pod change.
      for (const key of new Set([...before, ...after])) if (changed || before.has(key) !== after.has(key)) enqueue(key);
    },
  });
}
