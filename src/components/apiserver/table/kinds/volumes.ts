/** PersistentVolumes and their claims. */
import type { PersistentVolume, PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import { accessModes } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer, wide } from '../printer.ts';

const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

const className = (object: PersistentVolume | PersistentVolumeClaim): string =>
  object.metadata?.annotations?.[classAnnotation] ?? object.spec?.storageClassName ?? '';

const phaseOf = (object: PersistentVolume | PersistentVolumeClaim): string =>
  object.metadata?.deletionTimestamp ? 'Terminating' : (object.status?.phase ?? '');

const volumeModeColumn = wide('VolumeMode', 'string', 'File system or block device.');
const classColumns = [
  column('StorageClass', 'string', 'Storage class.'),
  column('VolumeAttributesClass', 'string', 'Class of the volume attributes.'),
];

export const persistentVolumePrinter = printer<PersistentVolume>({
  columns: [
    nameColumn,
    column('Capacity', 'string', 'Size of the volume.'),
    column('Access Modes', 'string', 'How it can be mounted.'),
    column('Reclaim Policy', 'string', 'What happens when its claim is gone.'),
    column('Status', 'string', 'Phase of the volume.'),
    column('Claim', 'string', 'Claim that it is bound to.'),
    ...classColumns,
    column('Reason', 'string', 'Why it is in its phase.'),
    ageColumn,
    volumeModeColumn,
  ],
  cells(object, now) {
    const { spec, status } = object;
    return [
      nameOf(object),
      spec?.capacity?.['storage'] ?? '0',
      accessModes(spec?.accessModes),
      spec?.persistentVolumeReclaimPolicy ?? '',
      phaseOf(object),
      spec?.claimRef ? `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}` : '',
      className(object),
      spec?.volumeAttributesClassName ?? '<unset>',
      status?.reason ?? '',
      ageOf(object, now),
      spec?.volumeMode ?? '<unset>',
    ];
  },
});

export const persistentVolumeClaimPrinter = printer<PersistentVolumeClaim>({
  columns: [
    nameColumn,
    column('Status', 'string', 'Phase of the claim.'),
    column('Volume', 'string', 'Volume that it is bound to.'),
    column('Capacity', 'string', 'Size of the volume.'),
    column('Access Modes', 'string', 'How the volume can be mounted.'),
    ...classColumns,
    ageColumn,
    volumeModeColumn,
  ],
  cells(object, now) {
    const { spec, status } = object;
    const bound = Boolean(spec?.volumeName);
    return [
      nameOf(object),
      phaseOf(object),
      spec?.volumeName ?? '',
      bound ? (status?.capacity?.['storage'] ?? '0') : '',
      bound ? accessModes(status?.accessModes) : '',
      className(object),
      spec?.volumeAttributesClassName ?? '<unset>',
      ageOf(object, now),
      spec?.volumeMode ?? '<unset>',
    ];
  },
});
