/** What a change of a pod means for its owner: the handlers that every workload controller has on the pod informer. */
import { isDeepStrictEqual } from 'node:util';
import { controllerOf } from '../../../../machinery/api/owners.ts';
import type { OwnerReference, Pod } from '../../../../machinery/api/types.ts';
import type { Informer } from '../../../../machinery/informer/types.ts';
import { isDeleting } from './state.ts';

export interface PodOwners<T> {
  /** The owner a reference names, if this controller has it and its uid is the same. */
  resolve(namespace: string, reference: OwnerReference): T | undefined;
  /** Owners that could adopt an orphan. */
  matching(pod: Pod): T[];
  enqueue(owner: T, pod: Pod): void;
  created?(owner: T, pod: Pod): void;
  deleted?(owner: T, pod: Pod): void;
}

/** Returns a function that removes the handlers. */
export function watchPods<T>(informer: Informer<Pod>, owners: PodOwners<T>): () => void {
  const ownerOf = (pod: Pod): T | undefined => {
    const reference = controllerOf(pod);
    return reference && owners.resolve(pod.metadata?.namespace ?? '', reference);
  };
  const offerOrphan = (pod: Pod) => {
    for (const owner of owners.matching(pod)) owners.enqueue(owner, pod);
  };
  const gone = (pod: Pod) => {
    const owner = ownerOf(pod);
    if (!owner) return;
    owners.deleted?.(owner, pod);
    owners.enqueue(owner, pod);
  };
  return informer.addHandler({
    onAdd(pod) {
      if (isDeleting(pod)) return gone(pod);
      if (!controllerOf(pod)) return offerOrphan(pod);
      const owner = ownerOf(pod);
      if (!owner) return;
      owners.created?.(owner, pod);
      owners.enqueue(owner, pod);
    },
    onUpdate(old, pod) {
      if (old.metadata?.resourceVersion === pod.metadata?.resourceVersion) return;
      if (old.metadata?.uid !== pod.metadata?.uid) gone(old);
      const labelsChanged = !isDeepStrictEqual(old.metadata?.labels, pod.metadata?.labels);
      // Being deleted counts as deleted: its replacement need not wait for the end of the grace period.
      if (isDeleting(pod)) {
        gone(pod);
        if (labelsChanged) gone(old);
        return;
      }
      const [before, after] = [controllerOf(old), controllerOf(pod)];
      if (before && before.uid !== after?.uid) {
        const owner = ownerOf(old);
        if (owner) owners.enqueue(owner, old);
      }
      if (after) {
        const owner = ownerOf(pod);
        if (owner) owners.enqueue(owner, pod);
      } else if (labelsChanged || before) offerOrphan(pod);
    },
    onDelete: gone,
  });
}
