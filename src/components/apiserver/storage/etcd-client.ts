/**
 * The few etcd calls that the API server needs, over etcd3's connection pool.
 *
 * Revisions are numbers. Nothing is retried that might have reached etcd already, except reads; calls that could not even
 * connect are retried for `connectPatienceMs`, so that a restart of etcd is a pause and not an error.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import { type ICompare, type IRequestOp, KVClient, LeaseClient, WatchClient } from 'etcd3/lib/rpc.js';
import { EtcdConnections } from './etcd-connections.ts';

export interface EtcdOptions {
  servers: string[];
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  /** Of one call; default 10 000. */
  timeoutMs?: number;
  /** How long to go on trying to connect; default 5 000. */
  connectPatienceMs?: number;
}

export interface KeyValue {
  key: string;
  value: Buffer;
  modRevision: number;
  createRevision: number;
  lease: string;
}

export interface RangeResult {
  revision: number;
  items: KeyValue[];
  more: boolean;
  count: number;
}

export interface EtcdEvent {
  type: 'put' | 'delete';
  kv: KeyValue;
}

/** One part of a transaction's condition. `modRevision` 0: the key does not exist. */
export interface Condition {
  key: string;
  modRevision: number;
}

export type Operation =
  | { op: 'put'; key: string; value: string; lease?: string }
  | { op: 'delete'; key: string }
  | { op: 'get'; key: string };

export interface TxnResult {
  succeeded: boolean;
  revision: number;
  /** Answers of the `get` operations of the branch that ran, in order; undefined for keys that do not exist. */
  gets: (KeyValue | undefined)[];
}

export interface EtcdWatchHandlers {
  /** All events of one or more whole revisions, in order; without events it only tells how far etcd has come. */
  onEvents(events: EtcdEvent[], revision: number): void;
  /** etcd has accepted the watch. */
  onCreated(): void;
  /** The start revision has been compacted: everything must be read anew. */
  onCompacted(): void;
  /** The stream is gone; the caller watches again. */
  onClosed(error: Error | undefined): void;
}

/** etcd cannot be reached or does not answer in time. */
export class EtcdUnavailableError extends Error {}
/** The asked revision lies before the last compaction. */
export class EtcdCompactedError extends Error {}
/** The asked revision lies in the future. */
export class EtcdFutureRevisionError extends Error {}

const wholeKeyspace = Buffer.from([0]);

/** The end of the range of all keys that begin with `prefix`. */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  return end;
}

/** Without this header etcd leaves a watch open, and silent, on a member that is cut off from the others. */
const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      metadata.set('hasleader', 'true');
      next(metadata, listener);
    },
  });

export class EtcdClient {
  readonly #pool: EtcdConnections;
  readonly #kv: KVClient;
  readonly #lease: LeaseClient;
  readonly #watch: WatchClient;
  readonly #timeoutMs: number;
  readonly #patienceMs: number;
  #seal: (key: string, value: string) => string | Buffer = (_, value) => value;
  #onCall: ((operation: string, seconds: number) => void) | undefined;

  constructor(options: EtcdOptions) {
    const read = (file: string | undefined) => (file ? readFileSync(file) : undefined);
    const rootCertificate = read(options.caFile);
    const privateKey = read(options.keyFile);
    const certChain = read(options.certFile);
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#patienceMs = options.connectPatienceMs ?? 5_000;
    this.#pool = new EtcdConnections({
      hosts: options.servers,
      ...(rootCertificate
        ? {
            credentials: {
              rootCertificate,
              ...(privateKey ? { privateKey } : {}),
              ...(certChain ? { certChain } : {}),
            },
          }
        : {}),
      grpcOptions: {
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        // A member that says nothing any more is noticed within 15 s, and a watch on it ends; etcd bears a question each 5 s.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.min_reconnect_backoff_ms': 50,
        'grpc.max_reconnect_backoff_ms': 1_000,
      },
    });
    this.#kv = new KVClient(this.#pool as never);
    this.#lease = new LeaseClient(this.#pool as never);
    this.#watch = new WatchClient(this.#pool as never);
  }

  /** What becomes of values before they are written. */
  sealWith(seal: (key: string, value: string) => string | Buffer): void {
    this.#seal = seal;
  }

  /** Hears of every finished call, for metrics. */
  observe(listener: (operation: string, seconds: number) => void): void {
    this.#onCall = listener;
  }

  close(): void {
    this.#pool.close();
  }

  /**
   * Reads a key, or with `end` a range. `revision` 0 is the newest, read linearizably.
   * Throws EtcdCompactedError for a revision that is gone.
   */
  async range(
    key: string,
    options: {
      end?: Buffer;
      limit?: number;
      revision?: number;
      keysOnly?: boolean;
      countOnly?: boolean;
      timeoutMs?: number;
    } = {},
  ): Promise<RangeResult> {
    const response = await this.#call('range', true, options.timeoutMs, (deadline) =>
      this.#kv.range(
        {
          key: Buffer.from(key),
          ...(options.end ? { range_end: options.end } : {}),
          ...(options.limit ? { limit: options.limit } : {}),
          ...(options.revision ? { revision: options.revision } : {}),
          keys_only: options.keysOnly ?? false,
          count_only: options.countOnly ?? false,
        },
        { deadline },
      ),
    );
    return {
      revision: Number(response.header.revision),
      items: response.kvs.map(keyValue),
      more: response.more,
      count: Number(response.count),
    };
  }

  async get(key: string): Promise<{ revision: number; kv: KeyValue | undefined }> {
    const { revision, items } = await this.range(key);
    return { revision, kv: items[0] };
  }

  /** etcd's newest revision, linearizable and as cheap as it gets. */
  async currentRevision(timeoutMs?: number): Promise<number> {
    const { revision } = await this.range('compact_rev_key', { countOnly: true, ...(timeoutMs ? { timeoutMs } : {}) });
    return revision;
  }

  /** Runs `then` when all conditions hold, else `otherwise`. */
  async txn(conditions: Condition[], then: Operation[], otherwise: Operation[] = []): Promise<TxnResult> {
    const request = (operation: Operation) => requestOp(operation, this.#seal);
    const response = await this.#call('txn', false, undefined, (deadline) =>
      this.#kv.txn(
        {
          compare: conditions.map(
            ({ key, modRevision }): ICompare => ({
              result: 'Equal',
              target: 'Mod',
              key: Buffer.from(key),
              mod_revision: modRevision,
            }),
          ),
          success: then.map(request),
          failure: otherwise.map(request),
        },
        { deadline },
      ),
    );
    const operations = response.succeeded ? then : otherwise;
    return {
      succeeded: response.succeeded,
      revision: Number(response.header.revision),
      gets: operations.flatMap((operation, i) => {
        if (operation.op !== 'get') return [];
        const kv = response.responses[i]?.response_range?.kvs[0];
        return [kv ? keyValue(kv) : undefined];
      }),
    };
  }

  /** A lease of `seconds`; keys put with it vanish when it ends. */
  async grantLease(seconds: number): Promise<string> {
    const response = await this.#call('leaseGrant', true, undefined, (deadline) =>
      this.#lease.leaseGrant({ TTL: seconds }, { deadline }),
    );
    return response.ID;
  }

  async compact(revision: number): Promise<void> {
    await this.#call('compact', false, undefined, (deadline) => this.#kv.compact({ revision }, { deadline }));
  }

  /**
   * Watches the whole keyspace from `startRevision` on; a member that has lost its leader ends it, and another one may be asked.
   * Returns a function that ends it without a further call to the handlers.
   */
  async watchAll(startRevision: number, handlers: EtcdWatchHandlers): Promise<() => void> {
    const stream = await this.#watch.watch({ interceptors: [requireLeader] });
    let ended = false;
    const finish = (error: Error | undefined) => {
      if (ended) return;
      ended = true;
      handlers.onClosed(error);
    };
    stream.on('data', (response) => {
      if (ended) return;
      if (Number(response.compact_revision) > 0) {
        ended = true;
        stream.cancel();
        handlers.onCompacted();
        return;
      }
      if (response.canceled) {
        stream.cancel();
        finish(new Error(response.cancel_reason));
        return;
      }
      if (response.created) {
        handlers.onCreated();
        return;
      }
      const events = response.events.map(
        (event): EtcdEvent => ({
          type: event.type === 'Delete' || `${event.type}` === 'DELETE' ? 'delete' : 'put',
          kv: keyValue(event.kv),
        }),
      );
      handlers.onEvents(
        events,
        events.length ? (events.at(-1)?.kv.modRevision ?? 0) : Number(response.header.revision),
      );
    });
    stream.on('error', (error) => finish(error));
    stream.on('end', () => finish(undefined));
    stream.write({
      create_request: {
        key: wholeKeyspace,
        range_end: wholeKeyspace,
        start_revision: startRevision,
        progress_notify: true,
      } as never,
    });
    return () => {
      ended = true;
      stream.cancel();
    };
  }

  async #call<T>(
    operation: string,
    idempotent: boolean,
    timeoutMs: number | undefined,
    call: (deadline: number) => Promise<T>,
  ): Promise<T> {
    const started = Date.now();
    for (let attempt = 0; ; attempt++) {
      try {
        return await call(Date.now() + (timeoutMs ?? this.#timeoutMs));
      } catch (error) {
        const text = (error as Error).message ?? String(error);
        if (/required revision has been compacted/.test(text)) throw new EtcdCompactedError(text);
        if (/required revision is a future revision/.test(text)) throw new EtcdFutureRevisionError(text);
        const unreachable = /UNAVAILABLE|ECONNREFUSED|No connection established|circuit|no leader|ClientClosed/i.test(
          text,
        );
        const late = /DEADLINE_EXCEEDED|deadline|timed out/i.test(text);
        if (!unreachable && !late && !/CANCELLED|INTERNAL|RST_STREAM|ECONNRESET/i.test(text)) throw error;
        const neverSent = /ECONNREFUSED|No connection established|name resolution/i.test(text);
        const patient = Date.now() - started < Math.min(this.#patienceMs, timeoutMs ?? this.#patienceMs);
        if (!patient || late || !(neverSent || idempotent)) throw new EtcdUnavailableError(text);
        await delay(Math.min(50 * 2 ** attempt, 500));
      } finally {
        this.#onCall?.(operation, (Date.now() - started) / 1000);
      }
    }
  }
}

function keyValue(kv: {
  key: Buffer;
  value: Buffer;
  mod_revision: string;
  create_revision: string;
  lease: string;
}): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value,
    modRevision: Number(kv.mod_revision),
    createRevision: Number(kv.create_revision),
    lease: kv.lease,
  };
}

function requestOp(operation: Operation, seal: (key: string, value: string) => string | Buffer): IRequestOp {
  const key = Buffer.from(operation.key);
  switch (operation.op) {
    case 'put':
      return {
        request_put: {
          key,
          value: Buffer.from(seal(operation.key, operation.value) as string),
          ...(operation.lease ? { lease: operation.lease } : {}),
        },
      };
    case 'delete':
      return { request_delete_range: { key } };
    case 'get':
      return { request_range: { key } };
  }
}
