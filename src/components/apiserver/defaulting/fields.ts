/** Small readers and writers that the defaulting rules of all groups share. */

export type Fields = Record<string, unknown>;

/** An object field; a fresh empty one (not attached) when it is unset. */
export const objectAt = (object: Fields | undefined, field: string): Fields => {
  const value = object?.[field];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
};

export const hasObject = (object: Fields | undefined, field: string): boolean => {
  const value = object?.[field];
  return typeof value === 'object' && value !== null && !Array.isArray(value);
};

/** The objects of a list field. */
export const listAt = (object: Fields | undefined, field: string): Fields[] => {
  const value = object?.[field];
  return Array.isArray(value) ? value.filter((item): item is Fields => typeof item === 'object' && item !== null) : [];
};

export const isUnset = (value: unknown): boolean => value === undefined || value === null;

/** Sets a field that is unset. For Go value fields pass `empty`, whose explicit value also counts as unset. */
export function setDefault(object: Fields, field: string, value: unknown, empty?: unknown): void {
  const current = object[field];
  if (isUnset(current) || (empty !== undefined && current === empty)) object[field] = value;
}

/** Sets every field of `values` that is unset or an empty string. */
export function setDefaults(object: Fields, values: Fields): void {
  for (const [field, value] of Object.entries(values)) setDefault(object, field, value, '');
}

/** The object at a field, created when unset. */
export function ensureObject(object: Fields, field: string): Fields {
  if (!hasObject(object, field)) object[field] = {};
  return object[field] as Fields;
}
