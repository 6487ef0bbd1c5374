/** Field errors as upstream's `field` package words them, and paths to fields. */
import { qualifiedNameErrors } from '../../../machinery/api/names.ts';
import type { FieldError } from '../errors.ts';

export type { FieldError } from '../errors.ts';

/** `%q` of a string, `%v` of numbers and booleans, JSON of everything else. */
export function printed(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  return JSON.stringify(value);
}

const withDetail = (text: string, detail: string) => (detail ? `${text}: ${detail}` : text);

export const required = (field: string, detail = ''): FieldError => ({
  type: 'FieldValueRequired',
  field,
  message: withDetail('Required value', detail),
});
export const invalidValue = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  message: withDetail(`Invalid value: ${printed(value)}`, detail),
});
export const duplicate = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  message: `Duplicate value: ${printed(value)}`,
});
export const unsupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  type: 'FieldValueNotSupported',
  field,
  message: withDetail(
    `Unsupported value: ${printed(value)}`,
    supported.length ? `supported values: ${supported.map((one) => JSON.stringify(one)).join(', ')}` : '',
  ),
});
export const forbiddenField = (field: string, detail: string): FieldError => ({
  type: 'FieldValueForbidden',
  field,
  message: withDetail('Forbidden', detail),
});
export const tooLong = (field: string, max: number): FieldError => ({
  type: 'FieldValueTooLong',
  field,
  message: `Too long: may not be more than ${max} bytes`,
});
export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  type: 'FieldValueTooMany',
  field,
  message: `Too many: ${actual}: must have at most ${max} item${max === 1 ? '' : 's'}`,
});
export const notFoundValue = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  message: `Not found: ${printed(value)}`,
});

/** One error per message, all about the same value. */
export const eachInvalid = (field: string, value: unknown, messages: string[]): FieldError[] =>
  messages.map((message) => invalidValue(field, value, message));

export const at = (path: string, index: number): string => `${path}[${index}]`;
/** A map's entry: `metadata.labels[app]`. */
export const entry = (path: string, key: string): string => `${path}[${key}]`;
/** A field of a path that may be empty. */
export const child = (path: string, name: string): string => (path ? `${path}.${name}` : name);

export const fieldImmutable = 'field is immutable';
export const notNegative = 'must be greater than or equal to 0';

/** A name that must be a qualified one: a label's key, a resource, a condition. */
export const qualifiedNameFieldErrors = (name: string, field: string): FieldError[] =>
  eachInvalid(field, name, qualifiedNameErrors(name));
