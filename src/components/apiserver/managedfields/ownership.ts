/** What a plain write does to the ownership of fields. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { apiVersionOf } from '../conversion/conversion.ts';
import type { ResourceDescriptor } from '../types.ts';
import { compareObjects } from './compare.ts';
import { limitOwners, type Owner, sameOwner, withoutEmpty } from './entries.ts';
import { difference, isEmptySet, union } from './field-set.ts';
import { ignoredFields, unownedFields } from './reset-fields.ts';
import { emptyObject } from './shapes.ts';

export interface FieldWrite {
  /** From managerName(). */
  manager: string;
  /** `status`, `scale`, …; absent for the resource itself. */
  subresource?: string;
  now: Date;
}

/** `2006-01-02T15:04:05Z` */
export const ownerTime = (now: Date): string => `${now.toISOString().slice(0, 19)}Z`;

/** Who owns what once `live` has become `next` by an update. */
export function ownersAfterUpdate(
  descriptor: ResourceDescriptor,
  live: UnknownObject | undefined,
  next: UnknownObject,
  owners: Owner[],
  write: FieldWrite,
): Owner[] {
  const before = live ?? emptyObject(descriptor.schema);
  const ignored = ignoredFields(descriptor, write.subresource);
  const { changed, removed } = compareObjects(descriptor.schema, before, next, ignored);
  if (isEmptySet(changed) && isEmptySet(removed)) return owners;
  const self: Owner = {
    manager: write.manager || 'unknown',
    operation: 'Update',
    apiVersion: apiVersionOf(descriptor),
    subresource: write.subresource,
    time: ownerTime(write.now),
    fields: difference(changed, unownedFields),
  };
  const after = owners.map((owner) => {
    const fields = difference(difference(owner.fields, changed), removed);
    return fields === owner.fields ? owner : { ...owner, fields };
  });
  if (isEmptySet(self.fields)) return withoutEmpty(after);
  const index = after.findIndex((owner) => sameOwner(owner, self));
  const own = after[index];
  if (own) after[index] = { ...self, fields: union(own.fields, self.fields) };
  else after.push(self);
  return limitOwners(withoutEmpty(after));
}
