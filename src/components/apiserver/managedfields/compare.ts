/** Which fields differ between two objects of one type. */

import { isObject } from '../../../machinery/api/json.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';
import { type FieldSet, insertPath } from './field-set.ts';
import { itemElement, type JsonObject, memberField, rootField, sameJson, shapeOf } from './shapes.ts';

export interface Comparison {
  /** Added or modified. */
  changed: FieldSet;
  removed: FieldSet;
}

export interface IgnoredFields {
  /** Answers whether a top-level field is out of the request's reach. */
  top(field: string): boolean;
  /** The same for the fields of metadata. */
  metadata(field: string): boolean;
}

/** Ignored fields count as equal. */
export function compareObjects(
  schema: TypeSchema,
  before: JsonObject,
  after: JsonObject,
  ignored: IgnoredFields,
): Comparison {
  const walk = new Walk();
  const root = rootField(schema);
  for (const name in { ...before, ...after }) {
    if (ignored.top(name)) continue;
    const field = memberField(root, name);
    if (!field) continue;
    if (name !== 'metadata') walk.descend(`f:${name}`, field, before[name], after[name]);
    else walk.members(field, without(before[name], ignored), without(after[name], ignored), `f:${name}`);
  }
  return walk.comparison;
}

function without(metadata: unknown, ignored: IgnoredFields): JsonObject {
  const kept: JsonObject = {};
  if (isObject(metadata)) for (const name in metadata) if (!ignored.metadata(name)) kept[name] = metadata[name];
  return kept;
}

class Walk {
  readonly comparison: Comparison = { changed: {}, removed: {} };
  private readonly path: string[] = [];

  descend(element: string, field: FieldSchema, before: unknown, after: unknown): void {
    if (before === after) return;
    this.path.push(element);
    this.value(field, before, after);
    this.path.pop();
  }

  private value(field: FieldSchema, before: unknown, after: unknown): void {
    const shape = shapeOf(field, after ?? before);
    const left = shape === 'items' ? listOf(before) : objectOf(before);
    const right = shape === 'items' ? listOf(after) : objectOf(after);
    if (shape === 'leaf' || (isEmpty(left) && isEmpty(right))) {
      this.leaf(before, after);
      return;
    }
    if (shape === 'members') this.members(field, left as JsonObject, right as JsonObject);
    else if (sameJson(left, right)) return;
    else this.items(field, (left ?? []) as unknown[], (right ?? []) as unknown[]);
    if (before === undefined) insertPath(this.comparison.changed, this.path);
    else if (after === undefined) insertPath(this.comparison.removed, this.path);
  }

  private leaf(before: unknown, after: unknown): void {
    if (after === undefined) insertPath(this.comparison.removed, this.path);
    else if (before === undefined || !sameJson(before, after)) insertPath(this.comparison.changed, this.path);
  }

  members(field: FieldSchema, before: JsonObject | undefined, after: JsonObject | undefined, element?: string): void {
    if (element) this.path.push(element);
    if (after) {
      for (const name in after) {
        const left = before?.[name];
        if (left === after[name]) continue;
        const member = memberField(field, name);
        if (member) this.descend(`f:${name}`, member, left, after[name]);
      }
    }
    if (before) {
      for (const name in before) {
        if (after?.[name] !== undefined) continue;
        const member = memberField(field, name);
        if (member) this.descend(`f:${name}`, member, before[name], undefined);
      }
    }
    if (element) this.path.pop();
  }

  private items(field: FieldSchema, before: unknown[], after: unknown[]): void {
    const item = field.items ?? { type: 'any' };
    const left = byElement(field, before);
    const right = byElement(field, after);
    for (const [element, values] of right) {
      const others = left.get(element) ?? [];
      if (values.length === 1 && others.length <= 1) this.descend(element, item, others[0], values[0]);
      else if (!sameJson(values, others)) this.insert(this.comparison.changed, element);
    }
    for (const [element, values] of left) {
      if (right.has(element)) continue;
      if (values.length === 1) this.descend(element, item, values[0], undefined);
      else this.insert(this.comparison.removed, element);
    }
  }

  private insert(set: FieldSet, element: string): void {
    insertPath(set, [...this.path, element]);
  }
}

/** Usually one item per element; duplicates are compared as a whole. */
function byElement(field: FieldSchema, list: unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of list) {
    const element = itemElement(field, item);
    if (element === undefined) continue;
    const same = found.get(element);
    if (same) same.push(item);
    else found.set(element, [item]);
  }
  return found;
}

const objectOf = (value: unknown): JsonObject | undefined => (isObject(value) ? value : undefined);
const listOf = (value: unknown): unknown[] | undefined => (Array.isArray(value) ? value : undefined);

const isEmpty = (value: JsonObject | unknown[] | undefined): boolean => {
  for (const _ in value) return false;
  return true;
};
