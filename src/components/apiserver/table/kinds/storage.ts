/** The storage group: classes, CSI drivers and what they attach. */
import type * as k8s from '@kubernetes/client-node';
import type { CSINode, KubeObject, Plain, StorageClass } from '../../../../machinery/api/types.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

const isDefault = (object: KubeObject, annotations: string[]): boolean =>
  annotations.some((annotation) => object.metadata?.annotations?.[annotation] === 'true');

export const storageClassPrinter = printer<StorageClass>({
  columns: [
    nameColumn,
    column('Provisioner', 'string', 'Who makes the volumes.'),
    column('ReclaimPolicy', 'string', 'What happens when a claim is gone.'),
    column('VolumeBindingMode', 'string', 'When volumes are made and bound.'),
    column('AllowVolumeExpansion', 'string', 'Whether volumes can grow.'),
    ageColumn,
  ],
  cells(object, now) {
    const byDefault = isDefault(object, [
      'storageclass.kubernetes.io/is-default-class',
      'storageclass.beta.kubernetes.io/is-default-class',
    ]);
    return [
      `${nameOf(object)}${byDefault ? ' (default)' : ''}`,
      object.provisioner ?? '',
      object.reclaimPolicy ?? 'Delete',
      object.volumeBindingMode ?? 'Immediate',
      object.allowVolumeExpansion ?? false,
      ageOf(object, now),
    ];
  },
});

export const volumeAttributesClassPrinter = printer<Plain<k8s.V1VolumeAttributesClass>>({
  columns: [nameColumn, column('DriverName', 'string', 'Driver that knows the attributes.'), ageColumn],
  cells(object, now) {
    const byDefault = isDefault(object, ['volumeattributesclass.alpha.kubernetes.io/is-default-class']);
    return [`${nameOf(object)}${byDefault ? ' (default)' : ''}`, object.driverName ?? '', ageOf(object, now)];
  },
});

export const volumeAttachmentPrinter = printer<Plain<k8s.V1VolumeAttachment>>({
  columns: [
    nameColumn,
    column('Attacher', 'string', 'Driver that attaches the volume.', 'name'),
    column('PV', 'string', 'Volume.'),
    column('Node', 'string', 'Node that it is attached to.'),
    column('Attached', 'boolean', 'Whether it is attached.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.attacher ?? '',
    object.spec?.source?.persistentVolumeName ?? '',
    object.spec?.nodeName ?? '',
    object.status?.attached ?? false,
    ageOf(object, now),
  ],
});

export const csiNodePrinter = printer<CSINode>({
  columns: [nameColumn, column('Drivers', 'integer', 'Number of CSI drivers on the node.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.spec?.drivers?.length ?? 0, ageOf(object, now)],
});

export const csiDriverPrinter = printer<Plain<k8s.V1CSIDriver>>({
  columns: [
    nameColumn,
    column('AttachRequired', 'boolean', 'Whether volumes are attached before they are mounted.'),
    column('PodInfoOnMount', 'boolean', 'Whether the driver is told about the pod.'),
    column('StorageCapacity', 'boolean', 'Whether the scheduler looks at the free capacity.'),
    column('TokenRequests', 'string', 'Audiences of the tokens that the driver gets.'),
    column('RequiresRepublish', 'boolean', 'Whether the driver is called again and again.'),
    column('Modes', 'string', 'Persistent or ephemeral volumes.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.attachRequired ?? true,
    object.spec?.podInfoOnMount ?? false,
    object.spec?.storageCapacity ?? false,
    object.spec?.tokenRequests?.map(({ audience }) => audience).join(',') ?? '<unset>',
    object.spec?.requiresRepublish ?? false,
    (object.spec?.volumeLifecycleModes ?? []).join(',') || '<none>',
    ageOf(object, now),
  ],
});

export const csiStorageCapacityPrinter = printer<Plain<k8s.V1CSIStorageCapacity>>({
  columns: [
    nameColumn,
    column('StorageClassName', 'string', 'Class that the capacity is of.'),
    column('Capacity', 'string', 'Free capacity.'),
  ],
  cells: (object) => [nameOf(object), object.storageClassName ?? '', object.capacity ?? '<unset>'],
});
