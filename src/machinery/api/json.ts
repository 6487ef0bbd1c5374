/** JSON values whose shape is not known. */
export type JsonObject = Record<string, unknown>;

/** True for objects that are no lists. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
