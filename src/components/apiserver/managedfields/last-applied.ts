/** The annotation in which client-side apply keeps what it applied last, as server-side apply by kubectl deals with it. */

import { isObject } from '../../../machinery/api/json.ts';
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { compareObjects } from './compare.ts';
import { difference, type FieldSet } from './field-set.ts';
import { fieldsOf } from './field-sets-of.ts';
import type { JsonObject } from './shapes.ts';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** Fields that client-side apply set and nobody changed since: kubectl may take them over without a conflict. */
export function clientSideFields(schema: TypeSchema, live: UnknownObject): FieldSet {
  const text = live.metadata?.annotations?.[annotation];
  if (!text) return {};
  const lastApplied = parsed(text);
  if (!lastApplied || lastApplied['apiVersion'] !== live.apiVersion) return {};
  const { changed, removed } = compareObjects(schema, lastApplied, live, { top: () => false, metadata: () => false });
  return difference(difference(fieldsOf(schema, lastApplied).set, changed), removed);
}

/** Objects that carry the annotation get it renewed, so that client-side apply can take over again. */
export function followLastApplied(
  live: UnknownObject | undefined,
  result: UnknownObject,
  applied: UnknownObject,
): UnknownObject {
  if (live?.metadata?.annotations?.[annotation] === undefined) return result;
  const { annotations, managedFields: _, ...metadata } = applied.metadata ?? {};
  const { [annotation]: _previous, ...others } = annotations ?? {};
  const kept = annotations && Object.keys(others).length ? { ...metadata, annotations: others } : metadata;
  const text = `${JSON.stringify(sorted({ ...applied, metadata: kept }))}\n`;
  const current = result.metadata?.annotations ?? {};
  if (current[annotation] === text) return result;
  return { ...result, metadata: { ...result.metadata, annotations: { ...current, [annotation]: text } } };
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const members = Object.keys(value).sort();
  return Object.fromEntries(members.map((name) => [name, sorted(value[name])]));
}
