/** Which persistent volume fits a claim, and a few facts of both: pure decisions that binder, scheduler and provisioners share. */
import { matchesNodeSelector } from './node-affinity.ts';
import { compareQuantities, parseQuantity } from './quantity.ts';
import { matchesLabelSelector } from './selectors.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, Volume } from './types.ts';
import { betaStorageClass, bindCompleted } from './volume-annotations.ts';

export const storageClassOf = (object: PersistentVolume | PersistentVolumeClaim): string =>
  object.metadata?.annotations?.[betaStorageClass] ?? object.spec?.storageClassName ?? '';

export const capacityOf = ({ spec }: PersistentVolume): string | undefined => spec?.capacity?.['storage'];

const sizeOf = (volume: PersistentVolume) => parseQuantity(capacityOf(volume) ?? '0');
const modesOf = ({ spec }: PersistentVolume) => spec?.accessModes?.length ?? 0;

/** How much a claim asks for, for sorting. */
export const compareClaims = (a: PersistentVolumeClaim, b: PersistentVolumeClaim): number => {
  const asked = ({ spec }: PersistentVolumeClaim) => parseQuantity(spec?.resources?.requests?.['storage'] ?? '0');
  return compareQuantities(asked(a), asked(b));
};

/** Both sides have been written. */
export const isFullyBound = ({ metadata, spec }: PersistentVolumeClaim): boolean =>
  Boolean(spec?.volumeName) && metadata?.annotations?.[bindCompleted] !== undefined;

/** The name of the claim that a volume of the pod stands for; ephemeral ones have a claim named after pod and volume. */
export const claimNameOf = (pod: Pod, volume: Volume): string | undefined =>
  volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${pod.metadata?.name}-${volume.name}` : undefined);

/** Names of the claims that a pod uses. */
export const claimNamesOf = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => claimNameOf(pod, volume) ?? []);

/** Whether the volume's claimRef names the claim: by name, and by uid once it has one. */
export function isReserved({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const reference = spec?.claimRef;
  if (!reference || reference.name !== metadata?.name || reference.namespace !== metadata?.namespace) return false;
  return !reference.uid || reference.uid === metadata?.uid;
}

/** Why the volume cannot be the claim's, apart from being somebody else's; undefined when it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  const asked = claim.spec?.resources?.requests?.['storage'];
  if (asked && compareQuantities(sizeOf(volume), parseQuantity(asked)) < 0) return 'requested PV is too small';
  if (storageClassOf(volume) !== storageClassOf(claim)) return 'storageClassName does not match';
  if ((volume.spec?.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem'))
    return 'incompatible volumeMode';
  const modes = volume.spec?.accessModes ?? [];
  if (!(claim.spec?.accessModes ?? []).every((mode) => modes.includes(mode))) return 'incompatible accessMode';
  return undefined;
}

export const isUsableOn = (volume: PersistentVolume, node: Node): boolean => {
  const required = volume.spec?.nodeAffinity?.required;
  return !required || matchesNodeSelector(required, node);
};

export interface VolumeChoice {
  /** Nothing but a reserved volume: the node is not chosen yet. */
  onlyReserved?: boolean;
  /** The volume must be usable there. */
  node?: Node;
  /** Names of volumes that others are about to get. */
  taken?: ReadonlySet<string>;
}

/** The free volume that can do the least beyond what is asked: fewest access modes, then the smallest; reserved ones go first. */
export function bestVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  { onlyReserved = false, node, taken }: VolumeChoice = {},
): PersistentVolume | undefined {
  const fitting = volumes.filter(
    (volume) =>
      !volume.metadata?.deletionTimestamp && !taken?.has(volume.metadata?.name ?? '') && !mismatch(volume, claim),
  );
  const reserved = fitting.find((volume) => isReserved(volume, claim));
  if (reserved) return !node || isUsableOn(reserved, node) ? reserved : undefined;
  if (onlyReserved) return undefined;
  const selector = claim.spec?.selector;
  return fitting
    .filter(
      (volume) =>
        !volume.spec?.claimRef &&
        volume.status?.phase === 'Available' &&
        (!selector || matchesLabelSelector(selector, volume.metadata?.labels)) &&
        (!node || isUsableOn(volume, node)),
    )
    .sort((a, b) => modesOf(a) - modesOf(b) || compareQuantities(sizeOf(a), sizeOf(b)))
    .at(0);
}

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Of several default classes the newest, and of equally old ones the first by name. */
export function defaultClassOf(classes: readonly StorageClass[]): StorageClass | undefined {
  const age = ({ metadata }: StorageClass) => metadata?.creationTimestamp ?? '';
  const name = ({ metadata }: StorageClass) => metadata?.name ?? '';
  return classes
    .filter(({ metadata }) => defaultAnnotations.some((annotation) => metadata?.annotations?.[annotation] === 'true'))
    .sort((a, b) => age(b).localeCompare(age(a)) || name(a).localeCompare(name(b)))
    .at(0);
}
