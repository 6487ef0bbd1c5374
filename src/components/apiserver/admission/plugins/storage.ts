/** DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize. */
import { defaultClassOf } from '../../../../machinery/api/persistent-volumes.ts';
import { compareQuantities, parseQuantity } from '../../../../machinery/api/quantity.ts';
import type { PersistentVolumeClaim, StorageClass } from '../../../../machinery/api/types.ts';
import { isFor, onOperations, type PluginFactory, refuse } from '../plugin.ts';

const storageClasses = { group: 'storage.k8s.io', resource: 'storageclasses' };
const betaClassAnnotation = 'volume.beta.kubernetes.io/storage-class';

export const defaultStorageClass: PluginFactory = ({ cache }) => ({
  name: 'DefaultStorageClass',
  handles: onOperations('CREATE'),
  admit(attributes) {
    if (!isFor(attributes, '', 'persistentvolumeclaims')) return;
    const claim = attributes.object as PersistentVolumeClaim;
    const named = claim.spec?.storageClassName ?? claim.metadata?.annotations?.[betaClassAnnotation];
    // An empty name asks for no class at all.
    if (!claim.spec || (named !== undefined && named !== null)) return;
    const chosen = defaultClassOf(cache.list(storageClasses) as unknown as StorageClass[])?.metadata?.name;
    if (chosen) claim.spec.storageClassName = chosen;
  },
});

const protectionFinalizers: Record<string, string> = {
  persistentvolumes: 'kubernetes.io/pv-protection',
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
};

export const storageObjectInUseProtection: PluginFactory = () => ({
  name: 'StorageObjectInUseProtection',
  handles: onOperations('CREATE'),
  admit({ descriptor, subresource, object }) {
    const finalizer = descriptor.group === '' && !subresource ? protectionFinalizers[descriptor.resource] : undefined;
    const metadata = object?.metadata;
    if (!finalizer || !metadata || metadata.finalizers?.includes(finalizer)) return;
    metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  },
});

export const persistentVolumeClaimResize: PluginFactory = ({ cache }) => ({
  name: 'PersistentVolumeClaimResize',
  handles: onOperations('UPDATE'),
  validate(attributes) {
    if (!isFor(attributes, '', 'persistentvolumeclaims')) return;
    const claim = attributes.object as PersistentVolumeClaim;
    const old = attributes.oldObject as PersistentVolumeClaim;
    const size = (of: PersistentVolumeClaim) => parseQuantity(of.spec?.resources?.requests?.['storage'] ?? '0');
    if (compareQuantities(size(claim), size(old)) <= 0) return;
    if (old.status?.phase !== 'Bound') throw refuse(attributes, 'Only bound persistent volume claims can be expanded');
    const className = claim.spec?.storageClassName ?? claim.metadata?.annotations?.[betaClassAnnotation] ?? '';
    const found = className ? (cache.get(storageClasses, '', className) as StorageClass | undefined) : undefined;
    if (!found?.allowVolumeExpansion)
      throw refuse(
        attributes,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      );
  },
});
