/** JSON Patch, RFC 6902. */
import { isDeepStrictEqual } from 'node:util';

/** The patch cannot be read, or one of its operations cannot be applied. */
export class PatchError extends Error {
  /** `malformed`: the patch itself is wrong (400); `failed`: it does not fit the document (422); `internal`: upstream answers 500. */
  readonly problem: 'malformed' | 'failed' | 'internal';
  constructor(problem: 'malformed' | 'failed' | 'internal', message: string) {
    super(message);
    this.name = 'PatchError';
    this.problem = problem;
  }
}

type Container = Record<string, unknown> | unknown[];

interface Operation {
  op?: unknown;
  path?: unknown;
  from?: unknown;
  value?: unknown;
}

const failed = (message: string) => new PatchError('failed', message);
const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

/** Applies the operations in order; the given document is not modified. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    const got = patch === null || typeof patch !== 'object' ? typeof patch : 'object';
    throw new PatchError('malformed', `json: cannot unmarshal ${got} into Go value of type jsonpatch.Patch`);
  }
  const root: { document: unknown } = { document: structuredClone(document) };
  for (const operation of patch) applyOperation(root, operation);
  return root.document;
}

function applyOperation(root: { document: unknown }, given: unknown): void {
  if (!isContainer(given) || Array.isArray(given)) {
    throw new PatchError(
      'malformed',
      `json: cannot unmarshal ${kindOf(given)} into Go value of type jsonpatch.Operation`,
    );
  }
  const operation: Operation = given;
  const op = typeof operation.op === 'string' ? operation.op : 'unknown';
  const pathOf = (member: 'path' | 'from'): string => {
    const pointer = operation[member];
    if (typeof pointer !== 'string') {
      throw failed(`${op} operation failed to decode ${member}: operation, missing ${member} field: missing value`);
    }
    return pointer;
  };
  // The whole document is the value `document` of an outer object, so that the empty path needs no case of its own.
  const locate = (pointer: string): { parent: Container; key: string } | undefined => {
    const segments = pointer.split('/').slice(1).map(unescapeSegment);
    if (segments.length === 0) return pointer === '' ? { parent: root, key: 'document' } : undefined;
    const key = segments.pop() as string;
    let parent: unknown = root.document;
    for (const segment of segments) parent = isContainer(parent) ? child(parent, segment) : undefined;
    return isContainer(parent) ? { parent, key } : undefined;
  };

  switch (op) {
    case 'add': {
      const path = pathOf('path');
      const at = locate(path);
      if (!at) throw failed(`add operation does not apply: doc is missing path: "${path}": missing value`);
      within(`error in add for path: '${path}'`, () => insert(at.parent, at.key, operation.value ?? null));
      return;
    }
    case 'remove': {
      const path = pathOf('path');
      const at = locate(path);
      if (!at) throw failed(`remove operation does not apply: doc is missing path: "${path}": missing value`);
      within(`error in remove for path: '${path}'`, () => remove(at.parent, at.key));
      return;
    }
    case 'replace': {
      const path = pathOf('path');
      const at = locate(path);
      if (!at) throw failed(`replace operation does not apply: doc is missing path: ${path}: missing value`);
      if (child(at.parent, at.key) === undefined) {
        throw failed(`replace operation does not apply: doc is missing key: ${path}: missing value`);
      }
      set(at.parent, at.key, operation.value ?? null);
      return;
    }
    case 'move':
    case 'copy': {
      const from = pathOf('from');
      const source = locate(from);
      if (!source) throw failed(`${op} operation does not apply: doc is missing from path: ${from}: missing value`);
      const value = child(source.parent, source.key);
      if (value === undefined) {
        throw failed(`error in ${op} for from: '${from}': unable to get nonexistent key: ${source.key}: missing value`);
      }
      if (op === 'move') remove(source.parent, source.key);
      const path = pathOf('path');
      const at = locate(path);
      if (!at) throw failed(`${op} operation does not apply: doc is missing destination path: ${path}: missing value`);
      within(`error in ${op} for path: '${path}'`, () => insert(at.parent, at.key, structuredClone(value)));
      return;
    }
    case 'test': {
      const path = pathOf('path');
      const at = locate(path);
      if (!at) throw failed(`test operation for path does not apply: doc is missing path: ${path}: missing value`);
      // As upstream's library: an absent member equals null.
      if (!isDeepStrictEqual(child(at.parent, at.key) ?? null, operation.value ?? null)) {
        throw failed(`testing value ${path} failed: test failed`);
      }
      return;
    }
    default:
      throw failed(`Unexpected kind: ${op}`);
  }
}

const unescapeSegment = (segment: string): string => segment.replaceAll('~1', '/').replaceAll('~0', '~');

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : value === null ? 'null' : typeof value;

function within(context: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw error instanceof PatchError ? failed(`${context}: ${error.message}`) : error;
  }
}

function child(parent: Container, key: string): unknown {
  if (!Array.isArray(parent)) return Object.hasOwn(parent, key) ? parent[key] : undefined;
  const index = listIndex(key);
  return parent[index < 0 ? parent.length + index : index];
}

function set(parent: Container, key: string, value: unknown): void {
  if (!Array.isArray(parent)) parent[key] = value;
  else {
    const index = listIndex(key);
    parent[index < 0 ? parent.length + index : index] = value;
  }
}

function insert(parent: Container, key: string, value: unknown): void {
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  if (key === '-') {
    parent.push(value);
    return;
  }
  // A negative index counts from the end of the list as it is once the value is in it.
  const index = listIndex(key);
  const length = parent.length + 1;
  if (index >= length || index < -length) {
    throw failed(`Unable to access invalid index: ${index}: invalid index referenced`);
  }
  parent.splice(index < 0 ? index + length : index, 0, value);
}

function remove(parent: Container, key: string): void {
  if (!Array.isArray(parent)) {
    if (!Object.hasOwn(parent, key)) throw failed(`Unable to remove nonexistent key: ${key}: missing value`);
    delete parent[key];
    return;
  }
  const index = listIndex(key);
  if (index >= parent.length || index < -parent.length) {
    throw failed(`Unable to access invalid index: ${index}: invalid index referenced`);
  }
  parent.splice(index, 1);
}

function listIndex(key: string): number {
  if (/^[-+]?\d+$/.test(key)) return Number(key);
  throw failed(`strconv.Atoi: parsing ${JSON.stringify(key)}: invalid syntax`);
}
