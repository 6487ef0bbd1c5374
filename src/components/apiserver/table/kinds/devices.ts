/** The resource group: devices and the claims of pods on them. */
import type * as k8s from '@kubernetes/client-node';
import type { KubeObject, Plain } from '../../../../machinery/api/types.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

/** Of device classes and claim templates. */
export const nameAndAgePrinter = printer<KubeObject>({
  columns: [nameColumn, ageColumn],
  cells: (object, now) => [nameOf(object), ageOf(object, now)],
});

function claimState({ metadata, status }: Plain<k8s.ResourceV1ResourceClaim>): string {
  const deleted = metadata?.deletionTimestamp ? ['deleted'] : [];
  if (!status?.allocation) return deleted.length ? 'deleted' : 'pending';
  return [...deleted, 'allocated', ...(status.reservedFor?.length ? ['reserved'] : [])].join(',');
}

export const resourceClaimPrinter = printer<Plain<k8s.ResourceV1ResourceClaim>>({
  columns: [nameColumn, column('State', 'string', 'Pending, allocated, reserved or deleted.'), ageColumn],
  cells: (object, now) => [nameOf(object), claimState(object), ageOf(object, now)],
});

export const resourceSlicePrinter = printer<Plain<k8s.V1ResourceSlice>>({
  columns: [
    nameColumn,
    column('Node', 'string', 'Node that has the devices.'),
    column('Driver', 'string', 'Driver of the devices.'),
    column('Pool', 'string', 'Pool that the slice is part of.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.nodeName ?? '',
    object.spec?.driver ?? '',
    object.spec?.pool?.name ?? '',
    ageOf(object, now),
  ],
});
