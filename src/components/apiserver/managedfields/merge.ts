/** Server-side apply's merge of an apply configuration into an object, and the removal of fields that nobody claims. */

import { isObject } from '../../../machinery/api/json.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';
import { type FieldSet, isEmptySet, isMember } from './field-set.ts';
import { itemElement, type JsonObject, memberField, rootField, shapeOf } from './shapes.ts';

/** The arguments are not modified; the result shares parts with them. */
export function mergeApplied(schema: TypeSchema, live: JsonObject, applied: JsonObject): JsonObject {
  return mergeValue(rootField(schema), live, applied) as JsonObject;
}

function mergeValue(field: FieldSchema, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live;
  if (live === undefined || live === null || applied === null) return applied;
  const shape = shapeOf(field, applied);
  if (shape === 'members' && isObject(live) && isObject(applied)) {
    const merged: JsonObject = { ...live };
    for (const [name, value] of Object.entries(applied)) {
      const type = memberField(field, name);
      merged[name] = type ? mergeValue(type, live[name], value) : value;
    }
    return merged;
  }
  if (shape === 'items' && Array.isArray(live) && Array.isArray(applied)) return mergeItems(field, live, applied);
  return applied;
}

/** Items of both lists keep the configuration's order; items of the live list alone stay where they were between them. */
function mergeItems(field: FieldSchema, live: unknown[], applied: unknown[]): unknown[] {
  const type = field.items ?? { type: 'any' };
  const left = live.map((item) => itemElement(field, item) ?? '');
  const right = applied.map((item) => itemElement(field, item) ?? '');
  const itemsLeft = new Map(left.map((element, index) => [element, live[index]]));
  const inRight = new Set(right);
  const shared = right.filter((element) => itemsLeft.has(element));
  const done = new Set<string>();
  const merged: unknown[] = [];
  let nextShared = 0;
  let l = 0;
  let r = 0;
  const take = (element: string) => {
    merged.push(mergeValue(type, itemsLeft.get(element), applied[r]));
    done.add(element);
    if (shared[nextShared] === element) nextShared++;
    r++;
  };
  while (l < left.length || r < right.length) {
    const mine = left[l];
    const theirs = right[r];
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        l++;
        take(theirs);
        continue;
      }
      if (inRight.has(mine) && nextShared < shared.length && shared[nextShared] !== mine) {
        l++;
        continue;
      }
    }
    if (mine !== undefined && (!inRight.has(mine) || done.has(mine))) {
      if (!done.has(mine)) merged.push(live[l]);
      l++;
    } else if (theirs !== undefined) take(theirs);
    else l++;
  }
  return merged;
}

/** The object without the members of the set, and without what becomes empty by that. */
export function removeFields(schema: TypeSchema, object: JsonObject, set: FieldSet): JsonObject {
  return isEmptySet(set) ? object : ((remove(rootField(schema), object, set) ?? {}) as JsonObject);
}

function remove(field: FieldSchema, value: unknown, set: FieldSet): unknown {
  const shape = shapeOf(field, value);
  if (shape === 'members' && isObject(value)) {
    const kept: JsonObject = {};
    for (const [name, member] of Object.entries(value)) {
      const node = set[`f:${name}`];
      const type = memberField(field, name);
      if (!node || !type) kept[name] = member;
      else if (!isMember(node)) {
        const rest = remove(type, member, node);
        if (rest !== undefined) kept[name] = rest;
      }
    }
    return isEmptySet(kept as FieldSet) ? undefined : kept;
  }
  if (shape === 'items' && Array.isArray(value)) {
    const type = field.items ?? { type: 'any' };
    const kept: unknown[] = [];
    for (const item of value) {
      const element = itemElement(field, item);
      const node = element === undefined ? undefined : set[element];
      if (!node) kept.push(item);
      else if (!isMember(node)) {
        const rest = remove(type, item, node);
        if (rest !== undefined) kept.push(rest);
      }
    }
    return kept.length ? kept : undefined;
  }
  return value;
}
