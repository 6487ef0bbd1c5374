/** The objects of one resource in memory, with a window of their latest changes for watches to start from. */
import type { StoredObject } from './stored-object.ts';

export interface CacheEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** etcd's revision of the change. */
  revision: number;
  /** Of DELETED: the last state, with the revision of the deletion. */
  object: StoredObject;
  /** The state before; absent for ADDED. */
  previous?: StoredObject;
}

export type CacheListener = (event: CacheEvent) => void;

/** The window keeps at least this many changes … */
const windowMinimum = 100;
/** … and drops more of them when they are older than this … */
const windowAgeMs = 75_000;
/** … or when there are more than this. */
const windowMaximum = 20_000;

/** The asked revision lies before the window of remembered changes. */
export class TooOldRevisionError extends Error {
  readonly asked: number;
  readonly oldest: number;
  constructor(asked: number, oldest: number) {
    super(`too old resource version: ${asked} (${oldest})`);
    this.asked = asked;
    this.oldest = oldest;
  }
}

export class ResourceCache {
  /** `/registry/pods/`, with its last slash. */
  readonly prefix: string;
  readonly namespaced: boolean;
  readonly #objects = new Map<string, StoredObject>();
  readonly #byNamespace = new Map<string, Map<string, StoredObject>>();
  readonly #listeners = new Set<CacheListener>();
  /** Keys whose value in etcd cannot be opened, and why. */
  readonly #unreadable = new Map<string, Error>();
  #events: { event: CacheEvent; at: number }[] = [];
  /** Every change after this revision is in the window. */
  #oldest = 0;
  #sorted: readonly StoredObject[] | undefined;
  /** Revision at which the objects were read; events up to it are known already. */
  #loadedAt = 0;
  loaded = false;

  constructor(prefix: string, namespaced: boolean) {
    this.prefix = prefix;
    this.namespaced = namespaced;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Every change after this revision is remembered. */
  get oldestRevision(): number {
    return this.#oldest;
  }

  key(namespace: string, name: string): string {
    return this.namespaced ? `${this.prefix}${namespace}/${name}` : `${this.prefix}${name}`;
  }

  /** @throws the reason when it cannot be read */
  get(namespace: string, name: string): StoredObject | undefined {
    const key = this.key(namespace, name);
    const problem = this.#unreadable.get(key);
    if (problem) throw problem;
    return this.#objects.get(key);
  }

  getByKey(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  /**
   * In etcd's order of keys. The array is a snapshot: it never changes.
   * @throws the reason when one of them cannot be read: a list is never silently incomplete
   */
  list(namespace?: string): readonly StoredObject[] {
    const below = namespace && this.namespaced ? `${this.prefix}${namespace}/` : this.prefix;
    for (const [key, problem] of this.#unreadable) if (key.startsWith(below)) throw problem;
    if (namespace && this.namespaced) return [...(this.#byNamespace.get(namespace)?.values() ?? [])].sort(byKey);
    this.#sorted ??= [...this.#objects.values()].sort(byKey);
    return this.#sorted;
  }

  /** Unordered, without a copy. */
  values(namespace?: string): Iterable<StoredObject> {
    return namespace && this.namespaced ? (this.#byNamespace.get(namespace)?.values() ?? []) : this.#objects.values();
  }

  /** Hears of changes from now on. */
  subscribe(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The remembered changes after `revision`. Throws TooOldRevisionError. */
  since(revision: number): CacheEvent[] {
    if (revision < this.#oldest) throw new TooOldRevisionError(revision, this.#oldest);
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle] as { event: CacheEvent }).event.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low).map(({ event }) => event);
  }

  /** Takes in what was read at `revision`; listeners hear how it differs from what was known. */
  load(objects: StoredObject[], revision: number): void {
    const first = !this.loaded;
    for (const { key } of objects) this.#unreadable.delete(key);
    const changes: CacheEvent[] = [];
    const seen = new Set<string>();
    for (const object of objects) {
      seen.add(object.key);
      const previous = this.#objects.get(object.key);
      if (previous && previous.revision >= object.revision) continue;
      this.#put(object);
      changes.push({
        type: previous ? 'MODIFIED' : 'ADDED',
        revision: object.revision,
        object,
        ...(previous ? { previous } : {}),
      });
    }
    if (!first) {
      for (const [key, previous] of this.#objects) {
        if (seen.has(key) || this.#unreadable.has(key)) continue;
        this.#remove(key);
        changes.push({ type: 'DELETED', revision, object: previous.atRevision(revision), previous });
      }
    }
    this.loaded = true;
    this.#loadedAt = revision;
    this.#oldest = revision;
    this.#events = [];
    changes.sort((a, b) => a.revision - b.revision);
    for (const event of changes) this.#tell(event);
  }

  /** A key is there, but what it holds cannot be opened. */
  unreadable(key: string, problem: Error): void {
    this.#unreadable.set(key, problem);
  }

  unreadableKeys(): string[] {
    return [...this.#unreadable.keys()];
  }

  /** An object that could not be read before: for watches it is as if it had come now. */
  recover(object: StoredObject): void {
    this.#unreadable.delete(object.key);
    const previous = this.#objects.get(object.key);
    if (previous && previous.revision >= object.revision) return;
    this.#put(object);
    const type = previous ? 'MODIFIED' : 'ADDED';
    this.#tell({ type, revision: object.revision, object, ...(previous ? { previous } : {}) });
  }

  /** A put seen by the watch; `object` undefined is a delete. */
  apply(key: string, revision: number, object: StoredObject | undefined): void {
    if (revision <= this.#loadedAt) return;
    this.#unreadable.delete(key);
    const previous = this.#objects.get(key);
    let event: CacheEvent;
    if (object) {
      this.#put(object);
      event = { type: previous ? 'MODIFIED' : 'ADDED', revision, object, ...(previous ? { previous } : {}) };
    } else {
      if (!previous) return;
      this.#remove(key);
      event = { type: 'DELETED', revision, object: previous.atRevision(revision), previous };
    }
    this.#events.push({ event, at: Date.now() });
    this.#trim();
    this.#tell(event);
  }

  #tell(event: CacheEvent): void {
    for (const listener of this.#listeners) listener(event);
    event.previous?.retire();
    event.object.trim();
  }

  #put(object: StoredObject): void {
    this.#objects.set(object.key, object);
    if (this.namespaced) {
      const [namespace, name] = this.#split(object.key);
      let ofNamespace = this.#byNamespace.get(namespace);
      if (!ofNamespace) {
        ofNamespace = new Map();
        this.#byNamespace.set(namespace, ofNamespace);
      }
      ofNamespace.set(name, object);
    }
    this.#sorted = undefined;
  }

  #remove(key: string): void {
    this.#objects.delete(key);
    if (this.namespaced) {
      const [namespace, name] = this.#split(key);
      const ofNamespace = this.#byNamespace.get(namespace);
      ofNamespace?.delete(name);
      if (ofNamespace?.size === 0) this.#byNamespace.delete(namespace);
    }
    this.#sorted = undefined;
  }

  #split(key: string): [string, string] {
    const slash = key.indexOf('/', this.prefix.length);
    return [key.slice(this.prefix.length, slash), key.slice(slash + 1)];
  }

  #trim(): void {
    let drop = Math.max(0, this.#events.length - windowMaximum);
    const before = Date.now() - windowAgeMs;
    while (this.#events.length - drop > windowMinimum && (this.#events[drop]?.at ?? 0) < before) drop++;
    // Moving the array costs its length, so it happens in larger steps.
    if (drop < 64) return;
    this.#oldest = this.#events[drop - 1]?.event.revision ?? this.#oldest;
    this.#events.splice(0, drop);
  }
}

function byKey(a: StoredObject, b: StoredObject): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
