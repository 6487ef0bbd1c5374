/** Ownership of fields: server-side apply, and the bookkeeping of every other write. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import { asksForReset, type Owner, readOwners, withOwners } from './entries.ts';
import { type FieldWrite, ownersAfterUpdate } from './ownership.ts';

export { applyPatch } from './apply.ts';
export { differsInTimesOnly } from './entries.ts';
export type { FieldWrite } from './ownership.ts';

const maxNameBytes = 128;

/** The `fieldManager` parameter, or the first part of the user agent, as upstream names a manager. */
export function managerName(fieldManager: string | null | undefined, userAgent: string | undefined): string {
  if (fieldManager) return fieldManager;
  let name = '';
  let bytes = 0;
  for (const character of (userAgent ?? '').split('/')[0] ?? '') {
    if (!/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) continue;
    bytes += Buffer.byteLength(character);
    if (bytes > maxNameBytes) break;
    name += character;
  }
  return name;
}

/**
 * Returns `next` with `metadata.managedFields` brought up to date for a create (live undefined), update or non-apply patch.
 * Call it on the decoded and defaulted object before the strategy's own changes (as upstream does before rest.Create and
 * inside the update transformer). Objects whose managedFields were sent as `[{}]` start anew.
 */
export function updateManagedFields(
  descriptor: ResourceDescriptor,
  live: UnknownObject | undefined,
  next: UnknownObject,
  write: FieldWrite,
): UnknownObject {
  const owners = currentOwners(live, next, write);
  // Once nobody is recorded, plain writes leave it at that; the next apply starts anew.
  if (live && owners.length === 0) return withOwners(next, []);
  return withOwners(next, ownersAfterUpdate(descriptor, live, next, owners, write));
}

/** As the request states them, where it may; else as they are. */
function currentOwners(live: UnknownObject | undefined, next: UnknownObject, write: FieldWrite): Owner[] {
  if (!write.subresource) {
    if (asksForReset(next)) return [];
    const stated = readOwners(next);
    if (stated?.length) return stated;
  }
  return readOwners(live) ?? [];
}
