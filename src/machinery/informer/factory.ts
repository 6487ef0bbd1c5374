/** Informers: list, watch, keep, tell. One per resource and options, shared by everything in a process. */

import type { KubeObject, WatchEvent } from '../api/types.ts';
import { isGone } from '../client/errors.ts';
import type { Client, ResourceType } from '../client/types.ts';
import { pause } from '../process/pause.ts';
import { keyOf, ObjectStore } from './store.ts';
import type { EventHandler, Informer, InformerFactory, InformerOptions, Store } from './types.ts';

const firstRetryMs = 500;
/** Watches cost an API server that has just returned little; being back soon is worth more than sparing it. */
const longestRetryMs = 5_000;
/** The server ends a watch after a time in this range, so that reconnects spread out. */
const watchSeconds = () => Math.floor(300 + Math.random() * 300);
const pageSize = 500;

export function createInformerFactory(
  client: Client,
  onError: (message: string) => void = () => undefined,
): InformerFactory {
  const informers = new Map<string, { informer: ResourceInformer<KubeObject>; started: boolean }>();
  return {
    informer<T extends KubeObject>(type: ResourceType<T>, options: InformerOptions = {}): Informer<T> {
      const { transform, ...plain } = options;
      const key = `${type.group}/${type.version}/${type.resource} ${JSON.stringify(plain)}`;
      let entry = informers.get(key);
      if (!entry) {
        entry = {
          informer: new ResourceInformer<KubeObject>(client, type as ResourceType<KubeObject>, options, onError),
          started: false,
        };
        informers.set(key, entry);
      }
      return entry.informer as unknown as Informer<T>;
    },
    start(signal) {
      for (const entry of informers.values()) {
        if (entry.started) continue;
        entry.started = true;
        entry.informer.run(signal).catch((error: Error) => onError(error.message));
      }
    },
    async synced(signal) {
      await Promise.all(
        [...informers.values()].filter((entry) => entry.started).map((entry) => entry.informer.synced(signal)),
      );
    },
  };
}

class ResourceInformer<T extends KubeObject> implements Informer<T> {
  readonly #client: Client;
  readonly #type: ResourceType<T>;
  readonly #options: InformerOptions;
  readonly #onError: (message: string) => void;
  readonly #objects = new ObjectStore<T>();
  readonly #handlers = new Set<EventHandler<T>>();
  #synced = Promise.withResolvers<void>();
  hasSynced = false;

  constructor(client: Client, type: ResourceType<T>, options: InformerOptions, onError: (message: string) => void) {
    this.#client = client;
    this.#type = type;
    this.#options = options;
    this.#onError = onError;
  }

  get store(): Store<T> {
    return this.#objects;
  }

  addHandler(handler: EventHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#objects.list()) this.#guard(() => handler.onAdd?.(object, true));
    return () => this.#handlers.delete(handler);
  }

  addIndex(name: string, valuesOf: (object: T) => string[]): void {
    this.#objects.addIndex(name, valuesOf);
  }

  async synced(signal?: AbortSignal): Promise<void> {
    if (!signal) return this.#synced.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const resync = this.#options.resyncMs
      ? setInterval(() => {
          for (const object of this.#objects.list()) this.#tell((handler) => handler.onUpdate?.(object, object));
        }, this.#options.resyncMs)
      : undefined;
    let retryMs = firstRetryMs;
    let version: string | undefined;
    let goneAt = 0;
    while (!signal.aborted) {
      try {
        version ??= await this.#relist(signal);
        version = await this.#watch(version, signal);
        retryMs = firstRetryMs;
      } catch (error) {
        if (signal.aborted) break;
        if (isGone(error)) {
          version = undefined;
          // Listing anew is the cure: without delay, unless it did not help a moment ago.
          const again = Date.now() - goneAt < longestRetryMs;
          goneAt = Date.now();
          if (!again) continue;
        } else if (error instanceof WatchBroken) version = error.version;
        this.#onError(`${this.#type.resource}: ${(error as Error).message}`);
        await pause(retryMs * (0.5 + Math.random()), signal);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      }
    }
    clearInterval(resync);
  }

  /** Reads everything and tells handlers the differences, deletions included. Answers the list's resourceVersion. */
  async #relist(signal: AbortSignal): Promise<string> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    const selection = {
      ...(namespace ? { namespace } : {}),
      ...(labelSelector ? { labelSelector } : {}),
      ...(fieldSelector ? { fieldSelector } : {}),
    };
    const found: T[] = [];
    let next: string | undefined;
    let version = '';
    do {
      const page = await this.#client
        .resource(this.#type)
        .list({ ...selection, limit: pageSize, signal, ...(next ? { continue: next } : {}) });
      for (const item of page.items) found.push(this.#kept(item));
      next = page.metadata.continue;
      version = page.metadata.resourceVersion ?? '';
    } while (next);
    const initial = !this.hasSynced;
    const keys = new Set(found.map(keyOf));
    for (const key of this.#objects.keys()) if (!keys.has(key)) this.#remove(key);
    for (const object of found) this.#put(object, initial);
    if (initial) {
      this.hasSynced = true;
      this.#synced.resolve();
    }
    return version;
  }

  /** Follows changes until the server ends the watch; answers the version to go on from. */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    let version = from;
    try {
      const events = this.#client.resource(this.#type).watch({
        ...(namespace ? { namespace } : {}),
        ...(labelSelector ? { labelSelector } : {}),
        ...(fieldSelector ? { fieldSelector } : {}),
        resourceVersion: from,
        allowWatchBookmarks: true,
        timeoutSeconds: watchSeconds(),
        signal,
      });
      for await (const event of events) {
        version = event.object.metadata?.resourceVersion ?? version;
        this.#take(event);
      }
    } catch (error) {
      if (isGone(error) || signal.aborted) throw error;
      throw new WatchBroken((error as Error).message, version);
    }
    return version;
  }

  #take(event: WatchEvent<T>): void {
    if (event.type === 'BOOKMARK') return;
    if (event.type === 'DELETED') this.#remove(keyOf(event.object), this.#kept(event.object));
    else this.#put(this.#kept(event.object), false);
  }

  #kept(object: T): T {
    return this.#options.transform ? (this.#options.transform(object) as T) : object;
  }

  #put(object: T, initial: boolean): void {
    const before = this.#objects.put(object);
    if (!before) this.#tell((handler) => handler.onAdd?.(object, initial));
    else if (before.metadata?.resourceVersion !== object.metadata?.resourceVersion) {
      // An object deleted and made again between two lists is another one.
      if (before.metadata?.uid !== object.metadata?.uid) {
        this.#tell((handler) => handler.onDelete?.(before));
        this.#tell((handler) => handler.onAdd?.(object, initial));
      } else this.#tell((handler) => handler.onUpdate?.(before, object));
    }
  }

  #remove(key: string, last?: T): void {
    const before = this.#objects.remove(key);
    const object = last ?? before;
    if (before && object) this.#tell((handler) => handler.onDelete?.(object));
  }

  #tell(act: (handler: EventHandler<T>) => void): void {
    for (const handler of this.#handlers) this.#guard(() => act(handler));
  }

  /** One handler's error must not keep the others from hearing. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#onError(`${this.#type.resource}: a handler failed: ${(error as Error).stack ?? error}`);
    }
  }
}

/** A watch that broke off; it is taken up again at `version`. */
class WatchBroken extends Error {
  readonly version: string;
  constructor(message: string, version: string) {
    super(message);
    this.version = version;
  }
}
