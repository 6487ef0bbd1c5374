/** How server-side apply sees a value of some type: as one leaf, as named members, or as list items with an identity. */
import { isObject } from '../../../machinery/api/json.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';

export type JsonObject = Record<string, unknown>;

/** `leaf`: owned as a whole; `members`: each member on its own; `items`: each list item on its own. */
export type Shape = 'leaf' | 'members' | 'items';

/** A value of unknown type: maps are granular, lists atomic. */
const deduced: FieldSchema = { type: 'any', preserveUnknown: true };

export function shapeOf(field: FieldSchema, value: unknown): Shape {
  switch (field.type) {
    case 'object':
      if (field.mapType) return field.mapType === 'atomic' ? 'leaf' : 'members';
      return field.schema?.atomic ? 'leaf' : 'members';
    case 'map':
      return field.mapType === 'atomic' ? 'leaf' : 'members';
    case 'array':
      return field.listType === 'set' || field.listType === 'map' ? 'items' : 'leaf';
    case 'any':
      return field.preserveUnknown && isObject(value) ? 'members' : 'leaf';
    default:
      return 'leaf';
  }
}

/** The field of a struct that its type declares. */
export function namedField(field: FieldSchema, member: string): FieldSchema | undefined {
  const { schema } = field;
  return schema && Object.hasOwn(schema.fields, member) ? schema.fields[member] : undefined;
}

/** The type of a member of a struct or map; undefined for a field that the type does not know. */
export function memberField(field: FieldSchema, member: string): FieldSchema | undefined {
  if (field.type === 'object') {
    return namedField(field, member) ?? (field.schema?.preserveUnknown ? deduced : undefined);
  }
  return field.type === 'map' ? field.items : deduced;
}

/** The path element of a list item: `v:<value>` of sets, `k:{…}` of lists with keys; undefined when it has no key at all. */
export function itemElement(field: FieldSchema, item: unknown): string | undefined {
  if (field.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  const keys: JsonObject = {};
  let found = false;
  for (const key of sortedKeys(field)) {
    const value = item[key] ?? (field.items && namedField(field.items, key)?.default);
    if (value === undefined) continue;
    keys[key] = value;
    found = true;
  }
  return found ? `k:${JSON.stringify(keys)}` : undefined;
}

const sortedKeysOf = new WeakMap<FieldSchema, string[]>();

function sortedKeys(field: FieldSchema): string[] {
  let keys = sortedKeysOf.get(field);
  if (!keys) {
    keys = [...(field.listMapKeys ?? [])].sort();
    sortedKeysOf.set(field, keys);
  }
  return keys;
}

const rootOf = new WeakMap<TypeSchema, FieldSchema>();

/** The type itself, as if it were a field's. */
export function rootField(schema: TypeSchema): FieldSchema {
  let field = rootOf.get(schema);
  if (!field) {
    field = { type: 'object', schema };
    rootOf.set(schema, field);
  }
  return field;
}

const emptyObjects = new WeakMap<TypeSchema, JsonObject>();

/** What upstream's Go struct writes when nothing is set: what a new object is compared with. */
export function emptyObject(schema: TypeSchema): JsonObject {
  let empty = emptyObjects.get(schema);
  if (empty) return empty;
  empty = {};
  for (const [name, field] of Object.entries(schema.fields)) {
    if (field.zero === undefined) continue;
    empty[name] =
      field.type === 'object' && field.schema && isObject(field.zero) ? emptyObject(field.schema) : field.zero;
  }
  emptyObjects.set(schema, empty);
  return empty;
}

/** Equality of JSON values; members' order does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let index = 0; index < a.length; index++) if (!sameJson(a[index], b[index])) return false;
    return true;
  }
  if (Array.isArray(b)) return false;
  let count = 0;
  for (const key in a) {
    count++;
    if (!sameJson((a as JsonObject)[key], (b as JsonObject)[key])) return false;
  }
  for (const _ in b) count--;
  return count === 0;
}
