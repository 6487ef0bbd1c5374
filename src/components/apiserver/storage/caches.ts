/** Finds the cache that holds a resource, by descriptor or by name; one cache serves all versions of a resource. */
import type { ApiRegistry, GroupResource, ResourceDescriptor } from '../types.ts';
import type { ResourceCache } from './resource-cache.ts';
import type { WatchCache } from './watch-cache.ts';

export class Caches {
  readonly #watchCache: WatchCache;
  readonly #prefixOf = new Map<string, string>();
  readonly #resourceOf = new Map<string, GroupResource>();

  /** Registers all resources of the registry that are kept in etcd, also those added later. */
  constructor(watchCache: WatchCache, registry: ApiRegistry) {
    this.#watchCache = watchCache;
    const registerAll = () => {
      for (const descriptor of registry.all()) {
        if (descriptor.virtual || this.#prefixOf.has(`${descriptor.group}/${descriptor.resource}`)) continue;
        const { group, resource, storage } = descriptor;
        this.#prefixOf.set(`${group}/${resource}`, storage.prefix);
        this.#resourceOf.set(storage.prefix, { group: storage.group, resource });
        watchCache.register(descriptor.storage.prefix, descriptor.namespaced);
      }
    };
    registerAll();
    registry.onChange(registerAll);
  }

  of({ storage, namespaced }: ResourceDescriptor): ResourceCache {
    return this.#watchCache.register(storage.prefix, namespaced);
  }

  /** Makes the cache of a resource that is to be served, and waits until it has been read. */
  async prepare({ storage, namespaced }: ResourceDescriptor): Promise<void> {
    this.#watchCache.register(storage.prefix, namespaced);
    await this.#watchCache.loaded(storage.prefix);
  }

  /** The resource is no longer served. */
  forget({ group, resource, storage }: ResourceDescriptor): void {
    this.#prefixOf.delete(`${group}/${resource}`);
    this.#watchCache.unregister(storage.prefix);
  }

  /** What a key in etcd belongs to; undefined for bookkeeping that is no resource. */
  resourceOf(key: string): GroupResource | undefined {
    const first = key.indexOf('/', '/registry/'.length);
    const second = key.indexOf('/', first + 1);
    return (
      (second > 0 ? this.#resourceOf.get(key.slice(0, second)) : undefined) ?? this.#resourceOf.get(key.slice(0, first))
    );
  }

  /** Throws for a resource that nobody serves. */
  find({ group, resource }: GroupResource): ResourceCache {
    const prefix = this.#prefixOf.get(`${group}/${resource}`);
    if (!prefix) throw new Error(`no resource "${resource}" in group "${group}"`);
    return this.#watchCache.register(prefix, true);
  }
}
