/** Annotations that binder, scheduler and provisioners leave each other on claims and volumes. */
import type { ObjectMeta } from './types.ts';

/** On a claim: bound once and for all; a volume that is gone is lost. */
export const bindCompleted = 'pv.kubernetes.io/bind-completed';
/** The binder chose the other side; what has it was not asked for by the user. */
export const boundByController = 'pv.kubernetes.io/bound-by-controller';
/** On a claim that waits for its first consumer: the node that the scheduler chose. */
export const selectedNode = 'volume.kubernetes.io/selected-node';
/** On a claim: who is to make its volume. */
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner';
export const betaStorageProvisioner = 'volume.beta.kubernetes.io/storage-provisioner';
/** On a volume: who made it, and will remove it. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';
export const betaStorageClass = 'volume.beta.kubernetes.io/storage-class';

export const annotated = (metadata: ObjectMeta | undefined, annotations: Record<string, string>): ObjectMeta => ({
  ...metadata,
  annotations: { ...metadata?.annotations, ...annotations },
});

export function withoutAnnotation(metadata: ObjectMeta | undefined, name: string): ObjectMeta {
  const { [name]: _dropped, ...annotations } = metadata?.annotations ?? {};
  return { ...metadata, annotations };
}
