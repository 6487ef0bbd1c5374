/** What a claim asks for, and the volume that answers it: pure. */
import { isUsableOn, storageClassOf } from '../../machinery/api/persistent-volumes.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../machinery/api/types.ts';
import { provisionedBy, selectedNode, storageProvisioner } from '../../machinery/api/volume-annotations.ts';

export interface Settings {
  provisioner: string;
  /** On every node: the volumes' directories are in it. */
  directory: string;
}

/** Keeps a volume that was deleted by hand until its directory is removed too. */
export const finalizer = 'external-provisioner.volume.kubernetes.io/finalizer';
const hostnameLabel = 'kubernetes.io/hostname';

/** Whether it is this provisioner's turn to do something for the claim. */
export const isOurs = ({ metadata, spec }: PersistentVolumeClaim, provisioner: string): boolean =>
  !metadata?.deletionTimestamp && !spec?.volumeName && metadata?.annotations?.[storageProvisioner] === provisioner;

/** Why there can be no volume of this kind for the claim; undefined when there can. */
export function refusal({ spec, metadata }: PersistentVolumeClaim, storageClass: StorageClass): string | undefined {
  if (storageClass.volumeBindingMode !== 'WaitForFirstConsumer' && !metadata?.annotations?.[selectedNode])
    return 'volumeBindingMode of the class must be WaitForFirstConsumer: the directory is made on the node that runs the pod';
  const [parameter] = Object.keys(storageClass.parameters ?? {});
  if (parameter) return `unknown parameter "${parameter}" of the class: there are none`;
  if (spec?.selector) return 'claim.Spec.Selector is not supported';
  if ((spec?.volumeMode ?? 'Filesystem') !== 'Filesystem') return `volumeMode ${spec?.volumeMode} is not supported`;
  const other = spec?.accessModes?.find((mode) => mode !== 'ReadWriteOnce' && mode !== 'ReadWriteOncePod');
  if (other) return `access mode ${other} is not supported: the directory is on one node`;
  if (spec?.dataSource || spec?.dataSourceRef) return 'dataSource is not supported';
  return undefined;
}

export const volumeNameOf = ({ metadata }: PersistentVolumeClaim): string => `pvc-${metadata?.uid}`;

/** Says to people whose it is; file systems take 255 bytes at most. */
const folderOf = (claim: PersistentVolumeClaim) =>
  `${volumeNameOf(claim)}_${claim.metadata?.namespace}_${claim.metadata?.name}`.slice(0, 200);

export function volumeFor(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: Node,
  { provisioner, directory }: Settings,
): PersistentVolume {
  const { namespace = '', name = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
  const storage = claim.spec?.resources?.requests?.['storage'] ?? '0';
  const policy = storageClass.reclaimPolicy ?? 'Delete';
  const mountOptions = storageClass.mountOptions ?? [];
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeNameOf(claim),
      annotations: { [provisionedBy]: provisioner },
      ...(policy === 'Delete' ? { finalizers: [finalizer] } : {}),
    },
    spec: {
      capacity: { storage },
      accessModes: claim.spec?.accessModes ?? [],
      persistentVolumeReclaimPolicy: policy,
      storageClassName: storageClassOf(claim),
      volumeMode: 'Filesystem',
      ...(mountOptions.length > 0 ? { mountOptions } : {}),
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
      local: { path: `${directory}/${folderOf(claim)}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: hostnameLabel, operator: 'In', values: [hostnameOf(node)] }] },
          ],
        },
      },
    },
  };
}

const hostnameOf = ({ metadata }: Node): string => metadata?.labels?.[hostnameLabel] ?? metadata?.name ?? '';

/** Whether the volume's directory is to go: nobody has the volume any more, and it was not to be kept. */
export function isToRemove({ metadata, spec, status }: PersistentVolume, provisioner: string): boolean {
  if (metadata?.annotations?.[provisionedBy] !== provisioner) return false;
  if (spec?.persistentVolumeReclaimPolicy !== 'Delete' || !spec.local) return false;
  if (metadata.deletionTimestamp === undefined) return status?.phase === 'Released';
  // Without our finalizer the directory is gone already; others may keep the object.
  return status?.phase !== 'Bound' && (metadata.finalizers ?? []).includes(finalizer);
}

/** The node that has the directory; undefined when it has left the cluster. */
export const nodeOf = (volume: PersistentVolume, nodes: readonly Node[]): Node | undefined =>
  volume.spec?.nodeAffinity?.required ? nodes.find((node) => isUsableOn(volume, node)) : undefined;

/** Name of the volume's directory; throws when it is not below the one that is configured now. */
export function folderNameOf({ metadata, spec }: PersistentVolume, directory: string): string {
  const path = spec?.local?.path ?? '';
  const name = path.slice(directory.length + 1);
  if (!path.startsWith(`${directory}/`) || name === '' || name.includes('/'))
    throw new Error(`the directory ${path} of volume "${metadata?.name}" is not in ${directory}`);
  return name;
}
