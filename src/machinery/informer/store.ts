/** The objects of an informer by key, with indexes. */
import type { KubeObject } from '../api/types.ts';
import type { Store } from './types.ts';

/** `namespace/name`, or `name` for cluster-scoped objects. */
export function keyOf(object: KubeObject): string {
  const { namespace, name = '' } = object.metadata ?? {};
  return namespace ? `${namespace}/${name}` : name;
}

/** Takes a key apart. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

interface Index<T> {
  valuesOf: (object: T) => string[];
  keys: Map<string, Set<string>>;
}

export class ObjectStore<T extends KubeObject> implements Store<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }
  list(): T[] {
    return [...this.#objects.values()];
  }
  keys(): string[] {
    return [...this.#objects.keys()];
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index named ${name}`);
    return [...(index.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  addIndex(name: string, valuesOf: (object: T) => string[]): void {
    if (this.#indexes.has(name)) return;
    const index: Index<T> = { valuesOf, keys: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) addTo(index, key, object);
  }

  /** Answers what was there before. */
  put(object: T): T | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    for (const index of this.#indexes.values()) {
      if (before) removeFrom(index, key, before);
      addTo(index, key, object);
    }
    this.#objects.set(key, object);
    return before;
  }

  remove(key: string): T | undefined {
    const before = this.#objects.get(key);
    if (!before) return undefined;
    for (const index of this.#indexes.values()) removeFrom(index, key, before);
    this.#objects.delete(key);
    return before;
  }
}

function addTo<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    const keys = index.keys.get(value) ?? new Set();
    keys.add(key);
    index.keys.set(value, keys);
  }
}

function removeFrom<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}
