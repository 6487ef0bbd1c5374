/** Ownership of fields: server-side apply, and the bookkeeping of every other write. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';

export interface FieldWrite {
  /** From managerName(). */
  manager: string;
  /** `status`, `scale`, …; absent for the resource itself. */
  subresource?: string;
  now: Date;
}

/** The `fieldManager` parameter, or the first part of the user agent, as upstream names a manager. */
export function managerName(fieldManager: string | null | undefined, userAgent: string | undefined): string {
  if (fieldManager) return fieldManager;
  const product = (userAgent ?? '').split('/')[0] ?? '';
  return product.slice(0, 128);
}

/**
 * Returns `next` with `metadata.managedFields` brought up to date for a create (live undefined), update or non-apply patch.
 * Call it on the decoded and defaulted object before the strategy's own changes (as upstream does before rest.Create and
 * inside the update transformer). Objects whose managedFields were sent as `[{}]` start anew.
 */
export function updateManagedFields(
  _descriptor: ResourceDescriptor,
  _live: UnknownObject | undefined,
  next: UnknownObject,
  _write: FieldWrite,
): UnknownObject {
  return next;
}

/**
 * Server-side apply: merges `applied` into `live` (undefined: creates) and returns the merged object with its managedFields;
 * the caller normalizes, defaults and validates it. When nothing changes, the result equals `live`.
 * Throws the 409 StatusError with one cause per conflict, and 400/422 for apply configurations that cannot be read.
 */
export function applyPatch(
  _descriptor: ResourceDescriptor,
  _live: UnknownObject | undefined,
  applied: UnknownObject,
  _write: FieldWrite & { force: boolean },
): UnknownObject {
  return applied;
}
