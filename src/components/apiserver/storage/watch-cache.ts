/**
 * All of etcd's objects in memory, kept up by one watch over the whole keyspace.
 *
 * One watch sees every revision, so the cache always knows how far it has come: a consistent read asks etcd for its newest
 * revision and waits until the watch has passed it (upstream does the same with progress notifications per resource).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { CacheReader, GroupResource } from '../types.ts';
import { type EtcdClient, type EtcdEvent, EtcdUnavailableError, type KeyValue, prefixEnd } from './etcd-client.ts';
import { ResourceCache } from './resource-cache.ts';
import type { StoredObject } from './stored-object.ts';

const root = '/registry/';
const pageSize = 1000;
const rewatchDelayMs = { first: 20, most: 1_000 };

export interface WatchCacheOptions {
  etcd: EtcdClient;
  log: Logger;
  /** @throws StatusError when the value cannot be opened */
  stored(kv: KeyValue): StoredObject;
  /** After the cache had to be read anew since etcd has compacted what it missed: running watches must end. */
  onReload?(): void;
}

export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #byPrefix = new Map<string, ResourceCache>();
  readonly #loads = new WeakMap<ResourceCache, Promise<void>>();
  readonly #waiters: { revision: number; resolve(): void }[] = [];
  readonly #stop = new AbortController();
  #revision = 0;
  #endWatch: (() => void) | undefined;
  #connected = false;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
  }

  /** Everything up to this revision of etcd has been taken in. */
  get revision(): number {
    return this.#revision;
  }

  /** False while the watch on etcd is interrupted. */
  get connected(): boolean {
    return this.#connected;
  }

  caches(): Iterable<ResourceCache> {
    return this.#byPrefix.values();
  }

  /** The cache below `/registry/<name>/`, made when it is not there; read at once when the others have been. */
  register(prefix: string, namespaced: boolean): ResourceCache {
    const path = `${prefix}/`;
    let cache = this.#byPrefix.get(path);
    if (!cache) {
      cache = new ResourceCache(path, namespaced);
      this.#byPrefix.set(path, cache);
      if (this.#revision > 0) this.#loads.set(cache, this.#loadLate(cache));
    }
    return cache;
  }

  /** Resolves when the cache below a prefix has been read. */
  async loaded(prefix: string): Promise<void> {
    const cache = this.#byPrefix.get(`${prefix}/`);
    if (cache && !cache.loaded) await this.#loads.get(cache);
  }

  unregister(prefix: string): void {
    this.#byPrefix.delete(`${prefix}/`);
  }

  /** Reads everything and goes on watching until `close`. Waits for etcd until the signal fires. */
  async start(signal?: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#load();
        break;
      } catch (error) {
        if (!(error instanceof EtcdUnavailableError)) throw error;
        signal?.throwIfAborted();
        this.#options.log.warn({ problem: error.message }, 'waiting for etcd');
        await delay(200, undefined, signal ? { signal } : {});
      }
    }
    this.#run().catch((error: Error) => this.#options.log.error({ problem: error.message }, 'the watch on etcd ended'));
  }

  close(): void {
    this.#stop.abort();
    this.#endWatch?.();
  }

  /** Resolves when everything up to `revision` has been taken in; false when that takes longer than `timeoutMs`. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.#revision >= revision) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = {
        revision,
        resolve: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(false);
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  async #load(): Promise<void> {
    const items = new Map<ResourceCache, StoredObject[]>();
    for (const cache of this.#byPrefix.values()) items.set(cache, []);
    const revision = await this.#readAll(root, (kv) => {
      const cache = this.#cacheOf(kv.key);
      if (cache) this.#keep(cache, kv, items.get(cache) ?? []);
    });
    for (const [cache, objects] of items) cache.load(objects, revision);
    this.#advance(revision);
  }

  /** Reads a cache that came later than the others, until etcd answers. */
  async #loadLate(cache: ResourceCache): Promise<void> {
    while (!this.#stop.signal.aborted && !cache.loaded) {
      try {
        await this.#loadOne(cache);
      } catch (error) {
        this.#options.log.error({ prefix: cache.prefix, problem: (error as Error).message }, 'cannot read from etcd');
        await delay(rewatchDelayMs.most);
      }
    }
  }

  async #loadOne(cache: ResourceCache): Promise<void> {
    const objects: StoredObject[] = [];
    const revision = await this.#readAll(cache.prefix, (kv) => this.#keep(cache, kv, objects));
    cache.load(objects, revision);
  }

  /** Pages through a prefix at one revision, which it answers. */
  async #readAll(prefix: string, take: (kv: KeyValue) => void): Promise<number> {
    const end = prefixEnd(prefix);
    let revision = 0;
    let from = prefix;
    for (;;) {
      const page = await this.#options.etcd.range(from, { end, limit: pageSize, revision });
      revision ||= page.revision;
      for (const kv of page.items) take(kv);
      const last = page.items.at(-1);
      if (!page.more || !last) return revision;
      from = `${last.key}\0`;
    }
  }

  async #run(): Promise<void> {
    let pause = rewatchDelayMs.first;
    while (!this.#stop.signal.aborted) {
      const ended = await this.#watchOnce(() => {
        pause = rewatchDelayMs.first;
      });
      this.#connected = false;
      if (this.#stop.signal.aborted) return;
      if (ended.compacted) await this.#reload();
      else {
        this.#options.log.warn({ problem: ended.error?.message, revision: this.#revision }, 'watching etcd again');
        await delay(pause);
        pause = Math.min(pause * 2, rewatchDelayMs.most);
      }
    }
  }

  async #watchOnce(connected: () => void): Promise<{ compacted: boolean; error?: Error }> {
    const { promise, resolve } = Promise.withResolvers<{ compacted: boolean; error?: Error }>();
    try {
      this.#endWatch = await this.#options.etcd.watchAll(this.#revision + 1, {
        onEvents: (events, revision) => {
          connected();
          this.#connected = true;
          this.#take(events, revision);
        },
        onCompacted: () => resolve({ compacted: true }),
        onClosed: (error) => resolve({ compacted: false, ...(error ? { error } : {}) }),
        onCreated: () => {
          connected();
          this.#connected = true;
        },
      });
      this.#stop.signal.addEventListener('abort', () => resolve({ compacted: false }), { once: true });
    } catch (error) {
      resolve({ compacted: false, error: error as Error });
    }
    return promise;
  }

  async #reload(): Promise<void> {
    this.#options.log.warn(
      { revision: this.#revision },
      'etcd has compacted what the watch missed: reading everything again',
    );
    for (;;) {
      try {
        await this.#load();
        break;
      } catch (error) {
        if (!(error instanceof EtcdUnavailableError)) throw error;
        await delay(rewatchDelayMs.most);
      }
    }
    this.#options.onReload?.();
  }

  #take(events: EtcdEvent[], revision: number): void {
    for (const { type, kv } of events) {
      const cache = this.#cacheOf(kv.key);
      if (!cache) continue;
      let object: StoredObject | undefined;
      try {
        if (type === 'put') object = this.#options.stored(kv);
      } catch (error) {
        this.#unreadable(cache, kv.key, error as Error);
        continue;
      }
      cache.apply(kv.key, kv.modRevision, object);
    }
    this.#advance(revision);
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const waiter = this.#waiters[i];
      if (!waiter || waiter.revision > revision) continue;
      this.#waiters.splice(i, 1);
      waiter.resolve();
    }
  }

  #keep(cache: ResourceCache, kv: KeyValue, objects: StoredObject[]): void {
    try {
      objects.push(this.#options.stored(kv));
    } catch (error) {
      this.#unreadable(cache, kv.key, error as Error);
    }
  }

  #unreadable(cache: ResourceCache, key: string, error: Error): void {
    this.#options.log.error({ key, problem: error.message }, 'an object in etcd cannot be read');
    cache.unreadable(key, error);
  }

  /** Reads once more what could not be read: it may be readable now. */
  async readAgain(): Promise<void> {
    for (const cache of this.#byPrefix.values()) {
      for (const key of cache.unreadableKeys()) {
        const { kv } = await this.#options.etcd.get(key);
        const found: StoredObject[] = [];
        if (kv) this.#keep(cache, kv, found);
        for (const object of found) cache.recover(object);
      }
    }
  }

  /** `/registry/pods/…` or, with one more segment, `/registry/services/specs/…` and `/registry/<group>/<resource>/…`. */
  #cacheOf(key: string): ResourceCache | undefined {
    if (!key.startsWith(root)) return undefined;
    const first = key.indexOf('/', root.length);
    if (first < 0) return undefined;
    const second = key.indexOf('/', first + 1);
    return (
      (second > 0 ? this.#byPrefix.get(key.slice(0, second + 1)) : undefined) ??
      this.#byPrefix.get(key.slice(0, first + 1))
    );
  }
}

/** The synchronous view that authorizers and admission get. */
export function cacheReader(find: (resource: GroupResource) => ResourceCache, ready: Promise<void>): CacheReader {
  return {
    get: (resource, namespace, name): UnknownObject | undefined => find(resource).get(namespace, name)?.object,
    list: (resource, namespace) => Array.from(find(resource).values(namespace), ({ object }) => object),
    onChange: (resource, listener) => {
      const cache = find(resource);
      for (const { object } of cache.values()) listener('ADDED', object, undefined);
      return cache.subscribe(({ type, object, previous }) => listener(type, object.object, previous?.object));
    },
    ready: () => ready,
  };
}
