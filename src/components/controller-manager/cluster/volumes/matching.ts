/** Which volume fits a claim: pure decisions. */
import { compareQuantities, parseQuantity } from '../../../../machinery/api/quantity.ts';
import { matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../../../machinery/api/types.ts';

const classOf = (object: PersistentVolume | PersistentVolumeClaim): string =>
  object.metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? object.spec?.storageClassName ?? '';

const sizeOf = ({ spec }: PersistentVolume) => parseQuantity(spec?.capacity?.['storage'] ?? '0');

const modesOf = ({ spec }: PersistentVolume) => spec?.accessModes?.length ?? 0;

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
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if ((volume.spec?.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem'))
    return 'incompatible volumeMode';
  const modes = volume.spec?.accessModes ?? [];
  if (!(claim.spec?.accessModes ?? []).every((mode) => modes.includes(mode))) return 'incompatible accessMode';
  return undefined;
}

/** The free volume that can do the least beyond what is asked: fewest access modes, then the smallest; reserved ones go first. */
export function bestVolume(
  claim: PersistentVolumeClaim,
  volumes: PersistentVolume[],
  delayed: boolean,
): PersistentVolume | undefined {
  const fitting = volumes.filter((volume) => !volume.metadata?.deletionTimestamp && !mismatch(volume, claim));
  const reserved = fitting.find((volume) => isReserved(volume, claim));
  if (reserved || delayed) return reserved;
  const selector = claim.spec?.selector;
  return fitting
    .filter(
      ({ spec, status, metadata }) =>
        !spec?.claimRef &&
        status?.phase === 'Available' &&
        (!selector || matchesLabelSelector(selector, metadata?.labels)),
    )
    .sort((a, b) => modesOf(a) - modesOf(b) || compareQuantities(sizeOf(a), sizeOf(b)))
    .at(0);
}

export const storageClassOf = classOf;
export const capacityOf = ({ spec }: PersistentVolume): string | undefined => spec?.capacity?.['storage'];

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Of several default classes the newest, and of equally old ones the first by name. */
export function defaultClassOf(classes: StorageClass[]): StorageClass | undefined {
  const age = ({ metadata }: StorageClass) => metadata?.creationTimestamp ?? '';
  const name = ({ metadata }: StorageClass) => metadata?.name ?? '';
  return classes
    .filter(({ metadata }) => defaultAnnotations.some((annotation) => metadata?.annotations?.[annotation] === 'true'))
    .sort((a, b) => age(b).localeCompare(age(a)) || name(a).localeCompare(name(b)))
    .at(0);
}
