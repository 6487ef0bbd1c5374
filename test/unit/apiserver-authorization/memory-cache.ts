/** A CacheReader over plain objects, for wings of the API server under test. */

import type { CacheReader, GroupResource } from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

type Listener = Parameters<CacheReader['onChange']>[1];

export class MemoryCache implements CacheReader {
  private readonly stores = new Map<string, Map<string, UnknownObject>>();
  private readonly listeners = new Map<string, Set<Listener>>();

  get(resource: GroupResource, namespace: string, name: string): UnknownObject | undefined {
    return this.store(resource).get(`${namespace}/${name}`);
  }
  list(resource: GroupResource, namespace?: string): UnknownObject[] {
    const all = [...this.store(resource).values()];
    return namespace ? all.filter((object) => object.metadata?.namespace === namespace) : all;
  }
  onChange(resource: GroupResource, listener: Listener): () => void {
    const key = keyOf(resource);
    const listeners = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, listeners.add(listener));
    for (const object of this.list(resource)) listener('ADDED', object, undefined);
    return () => listeners.delete(listener);
  }
  async ready(): Promise<void> {
    return undefined;
  }
  set(resource: GroupResource, object: UnknownObject): void {
    const store = this.store(resource);
    const key = `${object.metadata?.namespace ?? ''}/${object.metadata?.name}`;
    const old = store.get(key);
    store.set(key, object);
    for (const listener of this.listeners.get(keyOf(resource)) ?? []) listener(old ? 'MODIFIED' : 'ADDED', object, old);
  }
  remove(resource: GroupResource, namespace: string, name: string): void {
    const store = this.store(resource);
    const old = store.get(`${namespace}/${name}`);
    if (!old) return;
    store.delete(`${namespace}/${name}`);
    for (const listener of this.listeners.get(keyOf(resource)) ?? []) listener('DELETED', old, old);
  }
  private store(resource: GroupResource): Map<string, UnknownObject> {
    const key = keyOf(resource);
    const store = this.stores.get(key) ?? new Map<string, UnknownObject>();
    this.stores.set(key, store);
    return store;
  }
}

const keyOf = ({ group, resource }: GroupResource) => `${resource}.${group}`;
