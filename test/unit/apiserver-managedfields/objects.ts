/** Objects as the server's decoding hands them to the bookkeeping of field ownership. */

import { normalize } from '../../../src/components/apiserver/codec/decode.ts';
import { applyDefaults } from '../../../src/components/apiserver/defaulting/defaulting.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { ResourceDescriptor } from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const registry = createRegistry();

export function descriptorOf(group: string, version: string, resource: string): ResourceDescriptor {
  const found = registry.find(group, version, resource);
  if (!found) throw new Error(`no resource ${resource}`);
  return found;
}

/** Decoded and defaulted. */
export function complete(descriptor: ResourceDescriptor, raw: object): UnknownObject {
  const { object } = normalize(descriptor, structuredClone(raw) as UnknownObject, 'Ignore');
  applyDefaults(descriptor, object);
  return object;
}

export const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

/** The fields of every owner by `manager operation [subresource]`. */
export function owned(object: UnknownObject): Record<string, unknown> {
  const entries = object.metadata?.managedFields ?? [];
  return Object.fromEntries(
    entries.map(({ manager, operation, subresource, fieldsV1 }) => [
      [manager, operation, subresource].filter(Boolean).join(' '),
      fieldsV1,
    ]),
  );
}
