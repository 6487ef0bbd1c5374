/** A pod's claims by what they need before the pod can run: nothing, somebody else's binding, or a node. */
import { claimNameOf, isFullyBound, storageClassOf } from '../../../../machinery/api/persistent-volumes.ts';
import type { PersistentVolumeClaim, Pod, StorageClass } from '../../../../machinery/api/types.ts';
import { type Status, unresolvable } from '../../framework/status.ts';

export interface PodClaims {
  bound: PersistentVolumeClaim[];
  /** Of classes with WaitForFirstConsumer: the scheduler chooses. */
  delayed: PersistentVolumeClaim[];
}

export interface ClaimSources {
  claim(key: string): PersistentVolumeClaim | undefined;
  storageClass(name: string): StorageClass | undefined;
}

export const claimKeyOf = ({ metadata }: PersistentVolumeClaim): string => `${metadata?.namespace}/${metadata?.name}`;

/** What is wrong with a claim, whatever the node. */
function claimProblem(claimName: string, claim: PersistentVolumeClaim): Status | undefined {
  if (claim.status?.phase === 'Lost')
    return unresolvable(
      `persistentvolumeclaim "${claimName}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`,
    );
  if (claim.metadata?.deletionTimestamp) return unresolvable(`persistentvolumeclaim "${claimName}" is being deleted`);
  return undefined;
}

/** The claims, or why the pod has to wait wherever it would run. */
export function podClaims(pod: Pod, { claim: find, storageClass }: ClaimSources): PodClaims | { status: Status } {
  const found: PodClaims = { bound: [], delayed: [] };
  let unbound = false;
  for (const volume of pod.spec?.volumes ?? []) {
    const claimName = claimNameOf(pod, volume);
    if (!claimName) continue;
    const claim = find(`${pod.metadata?.namespace}/${claimName}`);
    if (!claim)
      return {
        status: unresolvable(
          volume.ephemeral
            ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${claimName}"`
            : `persistentvolumeclaim "${claimName}" not found`,
        ),
      };
    const problem = claimProblem(claimName, claim);
    if (problem) return { status: problem };
    if (volume.ephemeral && !claim.metadata?.ownerReferences?.some(({ uid }) => uid === pod.metadata?.uid))
      return {
        status: unresolvable(
          `PVC ${pod.metadata?.namespace}/${claimName} was not created for pod ${pod.metadata?.namespace}/${pod.metadata?.name} (pod is not owner)`,
        ),
      };
    if (isFullyBound(claim)) found.bound.push(claim);
    // A volume that was asked for by name is the binder's to bind.
    else if (
      storageClass(storageClassOf(claim))?.volumeBindingMode === 'WaitForFirstConsumer' &&
      !claim.spec?.volumeName
    )
      found.delayed.push(claim);
    else unbound = true;
  }
  return unbound ? { status: unresolvable('pod has unbound immediate PersistentVolumeClaims') } : found;
}
