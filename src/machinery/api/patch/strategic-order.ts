/** The order of a list after a strategic merge: the patch's order, with the server's own elements woven in. */
import { isDeepStrictEqual } from 'node:util';
import { PatchError } from './json-patch.ts';

export const sameValue = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && isDeepStrictEqual(a, b));

/** As Go prints decoded JSON. */
export function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (value === null) return '<nil>';
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([name, member]) => `${name}:${goValue(member)}`).join(' ')}]`;
}

export function noMergeKey(element: unknown, mergeKey: string): PatchError {
  return new PatchError('internal', `map: ${goValue(element)} does not contain declared merge key: ${mergeKey}`);
}

/**
 * Elements that `patchOrder` names come in its order; the others keep their relative order of `serverOrder`, and each of them
 * comes before the first named element that followed it on the server.
 */
export function mergeOrder(
  merged: unknown[],
  patchOrder: unknown[],
  serverOrder: unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const identity = (element: unknown): unknown => {
    if (!mergeKey) return element;
    const value = (element as Record<string, unknown> | null)?.[mergeKey];
    if (value === undefined) throw noMergeKey(element, mergeKey);
    return value;
  };
  const positions = (list: unknown[]): Map<unknown, number> => {
    const found = new Map<unknown, number>();
    list.forEach((element, index) => {
      if (!found.has(identity(element))) found.set(identity(element), index);
    });
    return found;
  };
  const patchPosition = positions(patchOrder);
  const serverPosition = positions(serverOrder);
  const named: unknown[] = [];
  const others: unknown[] = [];
  for (const element of merged) (patchPosition.has(identity(element)) ? named : others).push(element);
  const by = (order: Map<unknown, number>) => (a: unknown, b: unknown) =>
    (order.get(identity(a)) ?? order.size) - (order.get(identity(b)) ?? order.size);
  named.sort(by(patchPosition));
  others.sort(by(serverPosition));

  const ordered: unknown[] = [];
  let next = 0;
  for (const element of named) {
    const place = serverPosition.get(identity(element));
    for (; place !== undefined && next < others.length; next++) {
      const other = serverPosition.get(identity(others[next]));
      if (other === undefined || other >= place) break;
      ordered.push(others[next]);
    }
    ordered.push(element);
  }
  return [...ordered, ...others.slice(next)];
}
