/** The members of a strategic merge patch that steer the merge instead of being merged. */
import { isObject } from '../json.ts';
import { goValue, sameValue } from './strategic-order.ts';

export type JsonObject = Record<string, unknown>;

export const directives = {
  patch: '$patch',
  retainKeys: '$retainKeys',
  setElementOrder: '$setElementOrder/',
  deleteFromPrimitiveList: '$deleteFromPrimitiveList/',
} as const;

/** The list that `$setElementOrder/<list>` or `$deleteFromPrimitiveList/<list>` is about. */
export function readDirective(member: string, prefix: string): string | undefined {
  return member.startsWith(prefix) ? member.slice(prefix.length) : undefined;
}

/** A value that has nothing to merge with, without its directives; objects marked for deletion are left out of lists. */
export function deleteDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((element) => !isDeletion(element)).map((element) => deleteDirectives(element));
  }
  if (!isObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    if (!isDirective(key) && !isDeletion(member)) kept[key] = deleteDirectives(member);
  }
  return kept;
}

/** Without the null members of objects at any depth: there is nothing that they could delete. */
export function discardNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(discardNulls);
  if (!isObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) if (member !== null) kept[key] = discardNulls(member);
  return kept;
}

/** The patch list must follow the order that `$setElementOrder` gives; the complaint if it does not. */
export function orderError(patch: unknown[], order: unknown[], mergeKey: string | undefined): string | undefined {
  const identity = (element: unknown): unknown => (mergeKey && isObject(element) ? element[mergeKey] : element);
  const listed = patch.filter((element) => !(isObject(element) && element[directives.patch] !== undefined));
  let next = 0;
  for (const element of listed) {
    while (next < order.length && !sameValue(identity(order[next]), identity(element))) next++;
    if (next === order.length) {
      const texts = [listed, order].map(goValue);
      return `The order in patch list:\n${texts[0]}\n doesn't match ${directives.setElementOrder.slice(0, -1)} list:\n${texts[1]}\n`;
    }
    next++;
  }
  return undefined;
}

const isDeletion = (value: unknown): boolean => isObject(value) && value[directives.patch] === 'delete';

function isDirective(key: string): boolean {
  return (
    key === directives.patch ||
    key === directives.retainKeys ||
    key.startsWith(directives.setElementOrder) ||
    key.startsWith(directives.deleteFromPrimitiveList)
  );
}
