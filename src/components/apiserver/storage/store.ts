/** Reads and writes of single objects in etcd: optimistic transactions on the modification revision. */
import { isDeepStrictEqual } from 'node:util';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Condition, EtcdClient, KeyValue, Operation } from './etcd-client.ts';
import { EventLeases } from './event-leases.ts';
import { StoredObject, serialize, withRevision } from './stored-object.ts';

export class KeyExistsError extends Error {}
export class KeyNotFoundError extends Error {}
/** A condition on another key of the same transaction does not hold. */
export class AccompanyingError extends Error {}

/** Further keys written in the same transaction, with their conditions. */
export interface Accompanying {
  conditions: Condition[];
  operations: Operation[];
}

export interface UpdateOptions {
  /** Where to take the first look; a stale one costs a second try. */
  cached?: StoredObject | undefined;
}

/** What to do with the object as it is now: keep it, write another one, or delete it. */
export type Change =
  | { write: UnknownObject; also?: Accompanying | undefined }
  | { delete: true; also?: Accompanying | undefined }
  | { keep: true };

export interface StoreOptions {
  etcd: EtcdClient;
  stored(kv: KeyValue): StoredObject;
  /** Whether the object would be written in another way now. */
  isStale(object: StoredObject): boolean;
  eventTtlSeconds: number;
}

export class Store {
  readonly #etcd: EtcdClient;
  readonly #read: (kv: KeyValue) => StoredObject;
  readonly #isStale: (object: StoredObject) => boolean;
  readonly #leases: EventLeases;

  constructor({ etcd, stored, isStale, eventTtlSeconds }: StoreOptions) {
    this.#etcd = etcd;
    this.#read = stored;
    this.#isStale = isStale;
    this.#leases = new EventLeases(etcd, eventTtlSeconds);
  }

  get etcd(): EtcdClient {
    return this.#etcd;
  }

  /** Linearizable. */
  async get(key: string, cached?: StoredObject): Promise<StoredObject | undefined> {
    const { kv } = await this.#etcd.get(key);
    return kv && this.#stored(kv, cached);
  }

  /** Throws KeyExistsError. `ttl`: the object is an event. */
  async create(
    key: string,
    object: UnknownObject,
    options: { ttl?: boolean; also?: Accompanying | undefined } = {},
  ): Promise<StoredObject> {
    const text = serialize(object);
    const lease = options.ttl ? await this.#leases.lease() : undefined;
    const { succeeded, revision } = await this.#etcd.txn(
      [{ key, modRevision: 0 }, ...(options.also?.conditions ?? [])],
      [{ op: 'put', key, value: text, ...(lease ? { lease } : {}) }, ...(options.also?.operations ?? [])],
    );
    if (!succeeded) {
      if (options.also?.conditions.length && !(await this.get(key))) throw new AccompanyingError(key);
      throw new KeyExistsError(key);
    }
    return new StoredObject(key, revision, text);
  }

  /**
   * Calls `change` with the object as it is until a transaction on its revision succeeds. What `change` throws ends it,
   * unless it was shown a cached object that is no longer the newest: then it gets to see the newest first.
   * Answers the object as it is afterwards, or as it was before a delete. Throws KeyNotFoundError.
   */
  async update(
    key: string,
    change: (current: StoredObject) => Promise<Change> | Change,
    options: UpdateOptions & { ttl?: boolean } = {},
  ): Promise<{ object: StoredObject; changed: boolean; deletedAt?: number }> {
    let current = options.cached;
    let certain = false;
    const reread = async () => {
      const fresh = await this.get(key, current);
      if (!fresh) throw new KeyNotFoundError(key);
      certain = true;
      const stale = fresh.revision !== current?.revision;
      current = fresh;
      return stale;
    };
    if (!current) await reread();
    for (;;) {
      const base: StoredObject = current as StoredObject;
      let decided: Change;
      try {
        decided = await change(base);
      } catch (error) {
        if (!certain && (await reread())) continue;
        throw error;
      }
      let operation: Operation;
      let text = '';
      if ('keep' in decided) {
        if (!certain && (await reread())) continue;
        return { object: base, changed: false };
      }
      if ('delete' in decided) operation = { op: 'delete', key };
      else {
        text = serialize(decided.write);
        if (sameText(text, base) && !this.#isStale(base)) {
          if (!certain && (await reread())) continue;
          return { object: base, changed: false };
        }
        const lease = options.ttl ? await this.#leases.lease() : undefined;
        operation = { op: 'put', key, value: text, ...(lease ? { lease } : {}) };
      }
      const result = await this.#etcd.txn(
        [{ key, modRevision: base.revision }, ...(decided.also?.conditions ?? [])],
        [operation, ...(decided.also?.operations ?? [])],
        [{ op: 'get', key }],
      );
      if (result.succeeded) {
        return operation.op === 'delete'
          ? { object: base, changed: true, deletedAt: result.revision }
          : { object: new StoredObject(key, result.revision, text), changed: true };
      }
      const [kv] = result.gets;
      if (!kv) throw new KeyNotFoundError(key);
      // The object is as it was, so it is an accompanying condition that does not hold.
      if (kv.modRevision === base.revision) throw new AccompanyingError(key);
      current = this.#stored(kv, current);
      certain = true;
    }
  }

  #stored(kv: KeyValue, cached: StoredObject | undefined): StoredObject {
    return cached?.revision === kv.modRevision ? cached : this.#read(kv);
  }
}

/** Whether writing `text` would change nothing. */
function sameText(text: string, current: StoredObject): boolean {
  const written = withRevision(text, current.revision);
  if (written === current.json) return true;
  return written.length === current.json.length && isDeepStrictEqual(JSON.parse(written), current.object);
}
