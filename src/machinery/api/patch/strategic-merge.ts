/** Kubernetes' strategic merge patch: lists merge by key, directives (`$patch`, `$retainKeys`, …) steer it. */

import { isObject } from '../json.ts';
import type { FieldSchema, TypeSchema } from '../schema/types.ts';
import { PatchError } from './json-patch.ts';
import {
  deleteDirectives,
  directives,
  discardNulls,
  type JsonObject,
  orderError,
  readDirective,
} from './strategic-directives.ts';
import { goValue, mergeOrder, noMergeKey, sameValue } from './strategic-order.ts';

/** What a value's type says about patching it. */
interface Strategy {
  schema: TypeSchema | undefined;
  replaces: boolean;
  merges: boolean;
  mergeKey: string | undefined;
}

/** Merges `patch` into a copy of `document`, driven by the type's patch strategies. Throws PatchError. */
export function applyStrategicMergePatch(document: unknown, patch: unknown, schema: TypeSchema): unknown {
  if (!isObject(patch)) throw new PatchError('malformed', 'invalid JSON document');
  return mergeObject(isObject(document) ? document : {}, patch, schema);
}

/** Neither argument is modified; parts that do not change are shared with the result. */
function mergeObject(original: JsonObject, givenPatch: JsonObject, schema: TypeSchema | undefined): JsonObject {
  const directive = givenPatch[directives.patch];
  if (directive !== undefined) {
    if (directive === 'replace') {
      const { [directives.patch]: _, ...replacement } = givenPatch;
      return replacement;
    }
    if (directive === 'delete') return {};
    throw badPatchType(directive, givenPatch, 'map');
  }
  const patch = { ...givenPatch };
  const merged = { ...original };
  retainKeys(merged, patch);
  for (const key of Object.keys(patch)) mergeOrderedList(merged, patch, key, schema);

  for (const [member, value] of Object.entries(patch)) {
    const deletedFrom = readDirective(member, directives.deleteFromPrimitiveList);
    const key = deletedFrom ?? member;
    if (value === null) {
      delete merged[key];
      continue;
    }
    const before = merged[key];
    if (shapeOf(before) !== shapeOf(value) || before === undefined) {
      if (deletedFrom === undefined) merged[key] = deleteDirectives(discardNulls(value));
    } else if (Array.isArray(value)) {
      merged[key] = mergeList(before as unknown[], value, strategyOf(schema, key), deletedFrom !== undefined);
    } else if (isObject(value)) {
      const strategy = strategyOf(schema, key);
      merged[key] = strategy.replaces ? value : mergeObject(before as JsonObject, value, strategy.schema);
    } else merged[key] = value;
  }
  return merged;
}

/** `$retainKeys`: members that it does not name go away. */
function retainKeys(merged: JsonObject, patch: JsonObject): void {
  const retained = patch[directives.retainKeys];
  if (retained === undefined) return;
  delete patch[directives.retainKeys];
  if (!Array.isArray(retained)) throw new PatchError('malformed', 'invalid patch format of retainKeys');
  const kept = new Set<unknown>(retained);
  for (const [key, value] of Object.entries(patch)) {
    const exempt =
      value === null ||
      readDirective(key, directives.deleteFromPrimitiveList) !== undefined ||
      readDirective(key, directives.setElementOrder) !== undefined;
    if (!exempt && !kept.has(key)) throw new PatchError('malformed', 'invalid patch format of retainKeys');
  }
  for (const key of Object.keys(merged)) if (!kept.has(key)) delete merged[key];
}

/** `$setElementOrder/<list>`: merges the list now, in that order, and takes both members out of the patch. */
function mergeOrderedList(merged: JsonObject, patch: JsonObject, member: string, schema: TypeSchema | undefined): void {
  const key = readDirective(member, directives.setElementOrder);
  if (key === undefined) return;
  const order = patch[member];
  delete patch[member];
  const before = merged[key];
  const patched = patch[key];
  for (const list of [order, before, patched]) {
    if (list !== undefined && list !== null && !Array.isArray(list)) {
      throw new PatchError('internal', `expected a []interface {}, but received a ${goType(list)}`);
    }
  }
  if (!Array.isArray(order)) throw new PatchError('malformed', 'invalid patch format of setElementOrder list');
  const strategy = strategyOf(schema, key);
  const listBefore = Array.isArray(before) ? before : undefined;
  const listPatched = Array.isArray(patched) ? patched : undefined;
  if (patched === null) return;
  if (listPatched) {
    const problem = orderError(listPatched, order, strategy.mergeKey);
    if (problem) throw new PatchError('internal', problem);
  }
  let list: unknown[];
  if (listBefore && listPatched) list = mergeList(listBefore, listPatched, strategy, false);
  else if (listBefore) list = listBefore;
  else if (listPatched) list = deleteDirectives(discardNulls(listPatched)) as unknown[];
  else return;
  merged[key] = mergeOrder(list, order, listBefore ?? [], strategy.mergeKey);
  delete patch[key];
}

function mergeList(original: unknown[], patch: unknown[], strategy: Strategy, deletes: boolean): unknown[] {
  if (!strategy.merges && !deletes) return patch;
  if (original.length === 0 && patch.length === 0) return original;
  const first = original[0] ?? patch[0];
  if (![...original, ...patch].every((element) => shapeOf(element) === shapeOf(first))) {
    throw new PatchError('internal', 'list element types are not identical');
  }
  if (Array.isArray(first)) throw new PatchError('failed', 'lists of lists are not supported');
  if (!isObject(first)) {
    if (deletes) return original.filter((element) => !patch.includes(element));
    return mergeOrder([...new Set([...original, ...patch])], patch, original, undefined);
  }
  const { mergeKey } = strategy;
  if (!mergeKey) {
    throw new PatchError('internal', `cannot merge lists without merge key for ${goTypeName(strategy.schema)}`);
  }
  return mergeKeyedList(original as JsonObject[], patch as JsonObject[], mergeKey, strategy.schema);
}

function mergeKeyedList(given: JsonObject[], patch: JsonObject[], mergeKey: string, schema?: TypeSchema): JsonObject[] {
  let original = given;
  let replaces = false;
  const elements: JsonObject[] = [];
  for (const element of patch) {
    const directive = element[directives.patch];
    if (directive === undefined) elements.push(element);
    else if (directive === 'replace') replaces = true;
    else if (directive === 'merge') {
      throw new PatchError('internal', 'merging lists cannot yet be specified in the patch');
    } else if (directive === 'delete') {
      const value = element[mergeKey];
      if (value === undefined) throw noMergeKey(element, mergeKey);
      original = original.filter((candidate) => !sameValue(candidate[mergeKey], value));
    } else throw badPatchType(directive, element, 'list');
  }
  if (replaces) return elements;
  const merged = [...original];
  for (const element of elements) {
    const value = element[mergeKey];
    if (value === undefined) throw noMergeKey(element, mergeKey);
    const index = merged.findIndex((candidate) => sameValue(candidate[mergeKey], value));
    const before = merged[index];
    if (before) merged[index] = mergeObject(before, element, schema);
    else merged.push(deleteDirectives(discardNulls(element)) as JsonObject);
  }
  return mergeOrder(merged, elements, original, mergeKey) as JsonObject[];
}

function strategyOf(schema: TypeSchema | undefined, key: string): Strategy {
  const field: FieldSchema | undefined = schema && Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined;
  const words = field?.patchStrategy?.split(',') ?? [];
  return {
    schema: field?.type === 'array' ? field.items?.schema : field?.schema,
    replaces: words.includes('replace'),
    merges: words.includes('merge'),
    mergeKey: field?.patchMergeKey,
  };
}

function badPatchType(directive: unknown, where: JsonObject, container: string): PatchError {
  return new PatchError('internal', `unknown patch type: ${String(directive)} in ${container}: ${goValue(where)}`);
}

const shapeOf = (value: unknown): string => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value);

const goTypeName = (schema: TypeSchema | undefined): string => schema?.name.split('.').pop() ?? 'value';

const goTypes: Record<string, string> = { string: 'string', number: 'float64', boolean: 'bool' };
const goType = (value: unknown): string => goTypes[typeof value] ?? 'map[string]interface {}';
