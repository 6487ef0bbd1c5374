/** Documents field by field: what one of them says beyond another, and what is missing of it. */
import type { OpenDocument } from '../config/types.ts';

const isObject = (value: unknown): value is OpenDocument =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** Depends on the host, and is made for each. */
const ofHosts = new Set(['apiVersion', 'kind', 'cgroupDriver']);

/** The fields of `found` that are not as kinit's defaults have them: somebody gave them. */
export function givenFields(defaults: OpenDocument, found: OpenDocument): OpenDocument {
  return beyond(defaults, found, ofHosts);
}

function beyond(defaults: OpenDocument, found: OpenDocument, without: ReadonlySet<string>): OpenDocument {
  const given: OpenDocument = {};
  for (const [key, value] of Object.entries(found)) {
    if (without.has(key) || same(defaults[key], value)) continue;
    const under = defaults[key];
    const rest = isObject(value) ? beyond(isObject(under) ? under : {}, value, new Set()) : value;
    if (!isObject(rest) || Object.keys(rest).length > 0) given[key] = rest;
  }
  return given;
}

/** The fields of `before` of which `wanted` says nothing. */
export function fieldsWithout(before: OpenDocument, wanted: OpenDocument): OpenDocument {
  const rest: OpenDocument = {};
  for (const [key, value] of Object.entries(before)) {
    const other = wanted[key];
    if (!(key in wanted)) rest[key] = value;
    else if (isObject(value) && isObject(other)) {
      const inner = fieldsWithout(value, other);
      if (Object.keys(inner).length > 0) rest[key] = inner;
    }
  }
  return rest;
}

/** `evictionHard.memory.available = 100Mi`, one line per plain value. */
export function linesOf(fields: OpenDocument, prefix = ''): string[] {
  return Object.entries(fields).flatMap(([key, value]) =>
    isObject(value) ? linesOf(value, `${prefix}${key}.`) : [`${prefix}${key} = ${text(value)}`],
  );
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
