/** Checks a value against a structural schema, with the messages of upstream's OpenAPI validation. */

import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../../../machinery/api/json.ts';
import {
  at,
  duplicate,
  type FieldError,
  invalidValue,
  required,
  tooMany,
  unsupported,
} from '../validation/field-errors.ts';
import type { Schema } from './definition.ts';
import { goPattern, hasFormat } from './formats.ts';

type Json = Record<string, unknown>;

export const memberPath = (path: string, name: string): string => (path ? `${path}.${name}` : name);

/** What a value is in JSON, as errors call it. */
export function jsonType(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

const wrongType = (path: string, type: string, value: unknown): FieldError => ({
  type: 'FieldValueTypeInvalid',
  field: path,
  message: `Invalid value: ${JSON.stringify(value)}: ${path} in body must be of type ${type}: ${JSON.stringify(value)}`,
});

/** The errors of `value`; those of parts that are as before (`old`) are forgiven. */
export function valueErrors(schema: Schema, value: unknown, old: unknown, path: string): FieldError[] {
  const errors: FieldError[] = [];
  checkValue(schema, value, old, path, errors);
  return errors;
}

function checkValue(schema: Schema, value: unknown, old: unknown, path: string, errors: FieldError[]): void {
  if (old !== undefined && isDeepStrictEqual(value, old)) return;
  if (value === null && schema.nullable) return;
  const type = jsonType(value);
  const wanted = schema['x-kubernetes-int-or-string'] ? ['integer', 'string'] : schema.type ? [schema.type] : [];
  if (wanted.length && !wanted.includes(type) && !(type === 'integer' && wanted.includes('number'))) {
    errors.push(wrongType(path, wanted.join(','), type));
    return;
  }
  const before = errors.length;
  if (schema.enum && !schema.enum.some((allowed) => isDeepStrictEqual(allowed, value)))
    errors.push(
      unsupported(
        path,
        value,
        schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))),
      ),
    );
  if (typeof value === 'string') checkText(schema, value, path, errors);
  else if (typeof value === 'number') checkNumber(schema, value, path, errors);
  else if (Array.isArray(value)) checkList(schema, value, old, path, errors);
  else if (isObject(value)) checkObject(schema, value, isObject(old) ? old : undefined, path, errors);
  checkAlternatives(schema, value, path, errors, before);
}

function checkText(schema: Schema, value: string, path: string, errors: FieldError[]): void {
  const { minLength, maxLength, pattern, format } = schema;
  const length = maxLength === undefined && minLength === undefined ? 0 : [...value].length;
  if (maxLength !== undefined && length > maxLength)
    errors.push({
      type: 'FieldValueTooLong',
      field: path,
      message: `Too long: may not be more than ${maxLength} bytes`,
    });
  if (minLength !== undefined && length < minLength)
    errors.push(invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`));
  if (pattern !== undefined && !patternOf(schema, pattern).test(value))
    errors.push(invalidValue(path, value, `${path} in body should match '${pattern}'`));
  if (format && !hasFormat(format, value)) errors.push(wrongType(path, format, value));
}

const patterns = new WeakMap<Schema, RegExp>();

function patternOf(schema: Schema, pattern: string): RegExp {
  let found = patterns.get(schema);
  if (!found) {
    try {
      found = goPattern(pattern);
    } catch {
      found = /(?:)/;
    }
    patterns.set(schema, found);
  }
  return found;
}

function checkNumber(schema: Schema, value: number, path: string, errors: FieldError[]): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = schema;
  const fail = (what: string) => errors.push(invalidValue(path, value, `${path} in body should be ${what}`));
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum))
    fail(`less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum))
    fail(`greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) fail(`a multiple of ${multipleOf}`);
  if (format === 'int32' && (value > 2_147_483_647 || value < -2_147_483_648))
    errors.push(wrongType(path, format, value));
}

function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return Math.abs(times - Math.round(times)) < 1e-9;
}

function checkList(schema: Schema, value: unknown[], old: unknown, path: string, errors: FieldError[]): void {
  const { minItems, maxItems, uniqueItems, items } = schema;
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
  if (minItems !== undefined && value.length < minItems)
    errors.push(invalidValue(path, value, `${path} in body should have at least ${minItems} items`));
  if (uniqueItems && new Set(value.map((item) => JSON.stringify(item))).size < value.length)
    errors.push(invalidValue(path, value, `${path} in body shouldn't contain duplicates`));
  if (items) {
    const match = correlated(schema, old);
    for (const [index, item] of value.entries()) checkValue(items, item, match(item), at(path, index), errors);
  }
  checkListType(schema, value, path, errors);
}

const identity = (item: unknown, keys: string[], items: Schema | undefined): Json =>
  Object.fromEntries(
    keys.map((key) => [key, (isObject(item) ? item[key] : undefined) ?? items?.properties?.[key]?.default ?? null]),
  );

/** Finds the item of the old list that a new one continues: only lists with keys tell. */
export function correlated(schema: Schema, old: unknown): (item: unknown) => unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (!Array.isArray(old) || schema['x-kubernetes-list-type'] !== 'map' || !keys) return () => undefined;
  const known = new Map(old.map((item: unknown) => [JSON.stringify(identity(item, keys, schema.items)), item]));
  return (item) => known.get(JSON.stringify(identity(item, keys, schema.items)));
}

function checkListType(schema: Schema, value: unknown[], path: string, errors: FieldError[]): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const id = listType === 'set' ? item : identity(item, schema['x-kubernetes-list-map-keys'] ?? [], schema.items);
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.push(duplicate(at(path, index), id));
    seen.add(text);
  }
}

function checkObject(schema: Schema, value: Json, old: Json | undefined, path: string, errors: FieldError[]): void {
  const { properties, additionalProperties, minProperties, maxProperties } = schema;
  const count = Object.keys(value).length;
  if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(path, count, maxProperties));
  if (minProperties !== undefined && count < minProperties)
    errors.push(invalidValue(path, value, `${path} in body should have at least ${minProperties} properties`));
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(value, name)) errors.push(required(memberPath(path, name)));
  if (schema['x-kubernetes-embedded-resource'])
    for (const name of ['apiVersion', 'kind'])
      if (!value[name]) errors.push(required(memberPath(path, name), 'must not be empty'));
  for (const [name, member] of Object.entries(value)) {
    const own = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
    const found = own ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    if (found) checkValue(found, member, old?.[name], memberPath(path, name), errors);
  }
}

/** allOf, anyOf, oneOf and not. Nothing is said about a value that has errors already. */
function checkAlternatives(schema: Schema, value: unknown, path: string, errors: FieldError[], before: number): void {
  const { allOf, anyOf, oneOf, not } = schema;
  if (!allOf && !anyOf && !oneOf && !not) return;
  const outcome = (alternatives: Schema[]) => alternatives.map((one) => valueErrors(one, value, undefined, path));
  const fail = (what: string) => errors.push(invalidValue(path, '', `${JSON.stringify(path)} must ${what}`));
  if (errors.length > before) return;
  if (allOf) {
    const failed = outcome(allOf).flat();
    if (failed.length) {
      fail('validate all the schemas (allOf)');
      errors.push(...failed);
    }
  }
  if (anyOf && anyOf.length > 0) {
    const found = outcome(anyOf);
    if (!found.some(isFine)) {
      fail('validate at least one schema (anyOf)');
      errors.push(...fewest(found));
    }
  }
  if (oneOf && oneOf.length > 0) {
    const found = outcome(oneOf);
    const valid = found.filter(isFine).length;
    if (valid === 0) {
      fail('validate one and only one schema (oneOf). Found none valid');
      errors.push(...fewest(found));
    } else if (valid > 1) fail(`validate one and only one schema (oneOf). Found ${valid} valid alternatives`);
  }
  if (not && isFine(valueErrors(not, value, undefined, path))) fail('not validate the schema (not)');
}

const isFine = (errors: FieldError[]): boolean => errors.length === 0;

/** Those of the alternative that came nearest. */
const fewest = (found: FieldError[][]): FieldError[] =>
  found.reduce((best, errors) => (errors.length < best.length ? errors : best));
