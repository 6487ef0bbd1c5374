/** The split between an object and its status: each is written through its own door. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';

export const hasStatus = (descriptor: ResourceDescriptor): boolean =>
  descriptor.subresources.some(({ name }) => name === 'status');

/** New objects have no status: what the client sent is dropped. */
export function clearStatus(descriptor: ResourceDescriptor, object: UnknownObject): void {
  const { zero } = descriptor.schema.fields['status'] ?? {};
  if (zero === undefined) delete object['status'];
  else object['status'] = structuredClone(zero);
}

/** Updates of the object itself leave the status alone. */
export function keepStatus(next: UnknownObject, old: UnknownObject): void {
  if (old['status'] === undefined) delete next['status'];
  else next['status'] = old['status'];
}

/** Updates of the status leave everything but status and metadata alone. */
export function keepAllButStatus(next: UnknownObject, old: UnknownObject): void {
  for (const field of Object.keys({ ...next, ...old })) {
    if (field === 'status' || field === 'metadata' || field === 'kind' || field === 'apiVersion') continue;
    if (old[field] === undefined) delete next[field];
    else next[field] = old[field];
  }
}

/** Whether anything outside metadata and status differs. */
export function specChanged(
  next: UnknownObject,
  old: UnknownObject,
  same: (a: unknown, b: unknown) => boolean,
): boolean {
  for (const field of Object.keys({ ...next, ...old })) {
    if (field === 'metadata' || field === 'status' || field === 'kind' || field === 'apiVersion') continue;
    if (!same(next[field], old[field])) return true;
  }
  return false;
}
