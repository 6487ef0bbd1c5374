/** Checks of single values that many kinds share. Each answers field errors, none when fine. */
import { isIP } from 'node:net';
import { portNameErrors, portNumberErrors } from '../../../machinery/api/names.ts';
import { eachInvalid, type FieldError, invalidValue, notNegative, required, unsupported } from './field-errors.ts';

export const nonNegative = (value: number | undefined | null, field: string): FieldError[] =>
  (value ?? 0) < 0 ? [invalidValue(field, value, notNegative)] : [];

export const positive = (
  value: number | undefined | null,
  field: string,
  message = 'must be greater than 0',
): FieldError[] => (value !== undefined && value !== null && value <= 0 ? [invalidValue(field, value, message)] : []);

/** Required, and one of `allowed`. */
export function oneOf(value: string | undefined | null, allowed: readonly string[], field: string): FieldError[] {
  if (!value) return [required(field)];
  return allowed.includes(value) ? [] : [unsupported(field, value, allowed)];
}

/** Nothing, or one of `allowed`. */
export const optionalOneOf = (
  value: string | undefined | null,
  allowed: readonly string[],
  field: string,
): FieldError[] =>
  value === undefined || value === null ? [] : allowed.includes(value) ? [] : [unsupported(field, value, allowed)];

/** The checks of a name, when there is one. */
export const named = (
  value: string | undefined | null,
  field: string,
  check: (value: string) => string[],
  detail = '',
): FieldError[] => (value ? eachInvalid(field, value, check(value)) : [required(field, detail)]);

export const optionalNamed = (value: string | undefined | null, field: string, check: (value: string) => string[]) =>
  value ? eachInvalid(field, value, check(value)) : [];

export const portNumber = (port: number, field: string): FieldError[] =>
  eachInvalid(field, port, portNumberErrors(port));

/** A number or the name of a port. */
export function portNumberOrName(port: unknown, field: string): FieldError[] {
  if (typeof port === 'number') return portNumber(port, field);
  return eachInvalid(field, port, portNameErrors(String(port)));
}

const percent = /^[0-9]+%$/;

export function positiveIntOrPercent(value: unknown, field: string): FieldError[] {
  if (typeof value === 'number') return nonNegative(value, field);
  if (typeof value === 'string' && percent.test(value)) return [];
  return [
    invalidValue(
      field,
      value,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ),
  ];
}

export function notMoreThan100Percent(value: unknown, field: string): FieldError[] {
  return typeof value === 'string' && percent.test(value) && Number.parseInt(value, 10) > 100
    ? [invalidValue(field, value, 'must not be greater than 100%')]
    : [];
}

export function ipAddress(value: string, field: string): FieldError[] {
  return isIP(value)
    ? []
    : [invalidValue(field, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

export function cidr(value: string, field: string): FieldError[] {
  const [address = '', length, more] = value.split('/');
  const family = isIP(address);
  const fine =
    family && more === undefined && /^\d+$/.test(length ?? '') && Number(length) <= (family === 6 ? 128 : 32);
  return fine ? [] : [invalidValue(field, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
}

export function httpHeaderName(value: string, field: string): FieldError[] {
  return /^[-A-Za-z0-9]+$/.test(value)
    ? []
    : [
        invalidValue(
          field,
          value,
          "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ),
      ];
}

/** Keys of config maps and secrets, file names. */
export function configKeyErrors(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 253) errors.push('must be no more than 253 characters');
  if (!/^[-._a-zA-Z0-9]+$/.test(value))
    errors.push(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
  if (value === '.') errors.push("must not be '.'");
  if (value === '..') errors.push("must not be '..'");
  else if (value.startsWith('..')) errors.push("must not start with '..'");
  return errors;
}

/** A path below a volume's root. */
export function descendingPath(value: string, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (value.startsWith('/')) errors.push(invalidValue(field, value, 'must be a relative path'));
  if (value.split('/').includes('..')) errors.push(invalidValue(field, value, "must not contain '..'"));
  return errors;
}

export const noBackSteps = (value: string, field: string): FieldError[] =>
  value.split('/').includes('..') ? [invalidValue(field, value, "must not contain '..'")] : [];
