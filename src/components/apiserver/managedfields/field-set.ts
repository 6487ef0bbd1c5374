/**
 * Sets of field paths in the form in which they travel and are stored (FieldsV1): nested objects whose keys are path elements.
 * A node is a member of the set when it has no children or a `.`. Sets are values: no operation modifies its arguments, and a set
 * that does not change is answered itself.
 */

export interface FieldSet {
  [element: string]: FieldSet;
}

const none: FieldSet = Object.freeze({});

export const isEmptySet = (set: FieldSet): boolean => {
  for (const _ in set) return false;
  return true;
};

/** Of a node below the root. */
export const isMember = (node: FieldSet): boolean => '.' in node || isEmptySet(node);

/** Adds a path to a set that nobody else has seen yet. */
export function insertPath(set: FieldSet, path: readonly string[]): void {
  let node = set;
  let fresh = true;
  for (const element of path) {
    const child = node[element];
    if (!fresh && node !== set && isEmptySet(node)) node['.'] = {};
    fresh = child === undefined;
    node[element] = child ?? {};
    node = node[element];
  }
  if (!fresh && !isEmptySet(node)) node['.'] = {};
}

/** A node of the given children; undefined when nothing is left of it. */
function nodeOf(member: boolean, children: FieldSet): FieldSet | undefined {
  if (isEmptySet(children)) return member ? {} : undefined;
  return member ? { '.': {}, ...children } : children;
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  let result: FieldSet | undefined;
  for (const element in b) {
    const mine = element === '.' ? undefined : a[element];
    const theirs = b[element];
    if (mine === undefined || theirs === undefined) continue;
    const left = differenceOfNodes(mine, theirs);
    if (left === mine) continue;
    result ??= { ...a };
    if (left) result[element] = left;
    else delete result[element];
  }
  return result ?? a;
}

function differenceOfNodes(a: FieldSet, b: FieldSet): FieldSet | undefined {
  const member = isMember(a);
  const stays = member && !isMember(b);
  const children = difference(a, b);
  if (stays === member && children === a) return a;
  const { '.': _, ...rest } = children;
  return nodeOf(stays, rest);
}

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = {};
  for (const element in a) {
    const mine = element === '.' ? undefined : a[element];
    const theirs = b[element];
    if (mine === undefined || theirs === undefined) continue;
    const both = nodeOf(isMember(mine) && isMember(theirs), intersection(mine, theirs));
    if (both) result[element] = both;
  }
  return result;
}

/** What is in either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  let result: FieldSet | undefined;
  for (const element in b) {
    const mine = a[element];
    const theirs = b[element] ?? none;
    if (element === '.') continue;
    const joined = mine === undefined ? theirs : unionOfNodes(mine, theirs);
    if (joined === mine) continue;
    result ??= { ...a };
    result[element] = joined;
  }
  return result ?? a;
}

function unionOfNodes(a: FieldSet, b: FieldSet): FieldSet {
  const member = isMember(a) || isMember(b);
  const children = union(a, b);
  if (children === a && isMember(a) === member) return a;
  const { '.': _, ...rest } = children;
  return nodeOf(member, rest) ?? {};
}

/** Calls back with every member's path, parents before children. */
export function eachMember(set: FieldSet, visit: (path: string[]) => void, path: string[] = []): void {
  for (const [element, node] of Object.entries(set)) {
    if (element === '.') continue;
    const here = [...path, element];
    if (isMember(node)) visit(here);
    eachMember(node, visit, here);
  }
}

/** `.spec.containers[name="a"].image`, as conflicts print a path. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('');
}

function elementText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  if (element.startsWith('i:')) return `[${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
