/**
 * Brings decoded JSON to the form in which upstream's Go structs write it: unknown fields are dropped and reported, values
 * checked against the schema, quantities and times canonical, empty optional values left out, zero structs written.
 */
import { isObject } from '../../../machinery/api/json.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';
import { DecodeError, normalBytes, normalMicroTime, normalQuantity, normalTime } from './scalars.ts';

type Json = Record<string, unknown>;

interface Walk {
  /** Paths of unknown fields, in the order of the document. */
  unknown: string[];
  /** How many keys the document has; a duplicate key makes it fewer than were written. */
  keys: number;
  /** Custom resources keep wrong types and empty values: their validation speaks about them. */
  custom: boolean;
}

export interface Normalized {
  object: Json;
  unknown: string[];
  keys: number;
}

/** Checks and rewrites a whole object of a type. The input is not modified. */
export function normalizeObject(schema: TypeSchema, object: unknown): Normalized {
  const walk: Walk = { unknown: [], keys: 0, custom: !schema.name.startsWith('io.k8s.') };
  const normalized = struct(schema, object, '', '', walk);
  return { object: normalized, unknown: walk.unknown, keys: walk.keys };
}

const structNames = new WeakMap<TypeSchema, string>();
function goName(schema: TypeSchema): string {
  let name = structNames.get(schema);
  if (name === undefined) {
    name = schema.name.slice(schema.name.lastIndexOf('.') + 1);
    structNames.set(schema, name);
  }
  return name;
}

const zeroFields = new WeakMap<TypeSchema, [string, FieldSchema][]>();
function zerosOf(schema: TypeSchema): [string, FieldSchema][] {
  let fields = zeroFields.get(schema);
  if (!fields) {
    fields = Object.entries(schema.fields).filter(([, field]) => field.zero !== undefined);
    zeroFields.set(schema, fields);
  }
  return fields;
}

/** `path` carries indexes (for unknown fields), `plain` does not (for Go's type errors). */
function struct(schema: TypeSchema, input: unknown, path: string, plain: string, walk: Walk): Json {
  const output: Json = {};
  const source = input as Json;
  for (const key in source) {
    walk.keys++;
    const field = schema.fields[key];
    const value = source[key];
    if (field === undefined || !Object.hasOwn(schema.fields, key)) {
      if (schema.preserveUnknown) output[key] = value;
      else walk.unknown.push(path ? `${path}.${key}` : key);
      walk.keys += countKeys(value);
      continue;
    }
    const fieldPath = path ? `${path}.${key}` : key;
    const kept = fieldValue(field, value, schema, fieldPath, plain ? `${plain}.${key}` : key, walk);
    if (kept !== undefined) output[key] = kept;
  }
  for (const [name, field] of zerosOf(schema)) {
    if (output[name] === undefined) output[name] = zeroOf(field);
  }
  return output;
}

/** What an unset field of a Go struct is written as. */
function zeroOf(field: FieldSchema): unknown {
  if (field.type !== 'object' || field.zero === null) return field.zero;
  return struct(field.schema!, {}, '', '', { unknown: [], keys: 0, custom: false });
}

/** undefined: the field is left out. */
function fieldValue(
  field: FieldSchema,
  value: unknown,
  owner: TypeSchema,
  path: string,
  plain: string,
  walk: Walk,
): unknown {
  if (value === null) {
    if (walk.custom && (field.nullable || field.type === 'any' || field.default === undefined)) return null;
    return undefined;
  }
  const result = anyValue(field, value, owner, path, plain, walk);
  if (field.pointer || field.zero !== undefined || walk.custom) return result;
  switch (field.type) {
    case 'string':
    case 'bytes':
      return result === '' ? undefined : result;
    case 'integer':
    case 'number':
      return result === 0 ? undefined : result;
    case 'boolean':
      return result === false ? undefined : result;
    case 'array':
      return (result as unknown[]).length === 0 ? undefined : result;
    case 'map':
      for (const _ in result as Json) return result;
      return undefined;
    default:
      return result;
  }
}

function anyValue(
  field: FieldSchema,
  value: unknown,
  owner: TypeSchema,
  path: string,
  plain: string,
  walk: Walk,
): unknown {
  switch (field.type) {
    case 'string':
      return typeof value === 'string' ? value : mismatch(value, 'string', owner, plain, walk);
    case 'integer':
      if (typeof value === 'number' && Number.isInteger(value)) return checkedInteger(value, field, owner, plain);
      return mismatch(value, field.format ?? 'int64', owner, plain, walk);
    case 'number':
      return typeof value === 'number' ? value : mismatch(value, 'float64', owner, plain, walk);
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(value, 'bool', owner, plain, walk);
    case 'quantity':
      if (typeof value === 'string' || typeof value === 'number') return normalQuantity(value);
      return mismatch(value, 'resource.Quantity', owner, plain, walk);
    case 'time':
      if (typeof value === 'string') return normalTime(value);
      return mismatch(value, 'string', owner, plain, walk);
    case 'microTime':
      if (typeof value === 'string') return normalMicroTime(value);
      return mismatch(value, 'string', owner, plain, walk);
    case 'bytes':
      if (typeof value === 'string') return normalBytes(value);
      return mismatch(value, '[]uint8', owner, plain, walk);
    case 'duration':
      return typeof value === 'string' ? value : mismatch(value, 'string', owner, plain, walk);
    case 'intOrString':
      if (typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value))) return value;
      return mismatch(value, typeof value === 'number' ? 'int32' : 'intstr.IntOrString', owner, plain, walk);
    case 'object':
      if (walk.custom && path === 'metadata') return customMetadata(field, value, owner, walk);
      if (!isObject(value)) return mismatch(value, goType(field, owner), owner, plain, walk);
      return struct(field.schema!, value, path, plain, walk);
    case 'array':
      return arrayValue(field, value, owner, path, plain, walk);
    case 'map':
      return mapValue(field, value, owner, path, plain, walk);
    default:
      walk.keys += countKeys(value);
      return value;
  }
}

/** The metadata of custom resources is a Go struct all the same. */
function customMetadata(field: FieldSchema, value: unknown, owner: TypeSchema, walk: Walk): unknown {
  walk.custom = false;
  try {
    return anyValue(field, value, owner, 'metadata', 'metadata', walk);
  } finally {
    walk.custom = true;
  }
}

function arrayValue(
  field: FieldSchema,
  value: unknown,
  owner: TypeSchema,
  path: string,
  plain: string,
  walk: Walk,
): unknown {
  if (!Array.isArray(value)) return mismatch(value, goType(field, owner), owner, plain, walk);
  const items = field.items!;
  return value.map((item, index) =>
    item === null ? nullItem(items, walk) : anyValue(items, item, owner, `${path}[${index}]`, plain, walk),
  );
}

function mapValue(
  field: FieldSchema,
  value: unknown,
  owner: TypeSchema,
  path: string,
  plain: string,
  walk: Walk,
): unknown {
  if (!isObject(value)) return mismatch(value, goType(field, owner), owner, plain, walk);
  const items = field.items!;
  const output: Json = {};
  for (const key in value) {
    walk.keys++;
    const item = value[key];
    output[key] = item === null ? nullItem(items, walk) : anyValue(items, item, owner, `${path}.${key}`, plain, walk);
  }
  return output;
}

/** null inside a list or map is Go's zero value of the element. */
function nullItem(items: FieldSchema, walk: Walk): unknown {
  if (walk.custom) return null;
  switch (items.type) {
    case 'string':
      return '';
    case 'integer':
    case 'number':
    case 'intOrString':
      return 0;
    case 'boolean':
      return false;
    case 'quantity':
      return '0';
    case 'object':
      return zeroOf({ ...items, zero: {} });
    default:
      return null;
  }
}

function checkedInteger(value: number, field: FieldSchema, owner: TypeSchema, plain: string): number {
  if (field.format === 'int32' && (value > 2_147_483_647 || value < -2_147_483_648)) {
    throw new DecodeError(
      `json: cannot unmarshal number ${value} into Go struct field ${goName(owner)}.${plain} of type int32`,
    );
  }
  return value;
}

function jsonType(value: unknown): string {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'number' : `number ${value}`;
  return Array.isArray(value) ? 'array' : typeof value;
}

/** `[]v1.Container`, `map[string]string`, `v1.PodSpec`: a field's type as Go prints it. */
function goType(field: FieldSchema, owner: TypeSchema): string {
  switch (field.type) {
    case 'array':
      return `[]${goType(field.items!, owner)}`;
    case 'map':
      return field.items!.type === 'quantity' ? 'v1.ResourceList' : `map[string]${goType(field.items!, owner)}`;
    case 'object':
      return field.schema!.name.split('.').slice(-2).join('.');
    case 'integer':
      return field.format ?? 'int64';
    case 'boolean':
      return 'bool';
    case 'quantity':
      return 'resource.Quantity';
    case 'bytes':
      return '[]uint8';
    case 'any':
      return 'runtime.RawExtension';
    default:
      return 'string';
  }
}

function mismatch(value: unknown, wanted: string, owner: TypeSchema, plain: string, walk: Walk): unknown {
  if (walk.custom) return value;
  const kind = wanted.startsWith('int') ? jsonType(value) : jsonType(value).split(' ')[0];
  throw new DecodeError(
    `json: cannot unmarshal ${kind} into Go struct field ${goName(owner)}.${plain} of type ${wanted}`,
  );
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countKeys(item), 0);
  let sum = 0;
  for (const key in value) sum += 1 + countKeys((value as Json)[key]);
  return sum;
}
