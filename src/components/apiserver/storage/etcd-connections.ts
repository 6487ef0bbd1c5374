/**
 * etcd3's connection pool, but its connections last: etcd3 closes all of them to a server, each watch with its own, after any call that was late or
 * failed. gRPC itself notices when a connection is gone, and makes another one.
 */
import { ConnectionPool, type Host } from 'etcd3/lib/connection-pool.js';
import { isRecoverableError } from 'etcd3/lib/errors.js';
import type { IOptions } from 'etcd3/lib/options.js';

const breaker = { failures: 3, pauseMs: 5_000 };

type Call<T> = (context: never) => T | PromiseLike<T>;

const passThrough = { execute: async <T>(call: Call<T>) => call(undefined as never) };

/** Calls to one server; of several, one that has failed three times in a row is left alone for a while. */
class ServerPolicy {
  readonly #alone: boolean;
  #failures = 0;
  #openUntil = 0;

  constructor(alone: boolean) {
    this.#alone = alone;
  }

  async execute<T>(call: Call<T>): Promise<T> {
    if (Date.now() < this.#openUntil) throw new Error('the circuit to this server of etcd is open: it does not answer');
    try {
      const result = await passThrough.execute(call);
      this.#failures = 0;
      return result;
    } catch (error) {
      const { message } = error as Error;
      if (!this.#alone && isRecoverableError(error as Error) && ++this.#failures >= breaker.failures)
        this.#openUntil = Date.now() + breaker.pauseMs;
      // Without etcd3's own mark, upon which it closes the connections.
      throw new Error(message);
    }
  }
}

export class EtcdConnections extends ConnectionPool {
  constructor(options: IOptions & { hosts: string[] }) {
    const alone = options.hosts.length === 1;
    super({
      ...options,
      faultHandling: { global: passThrough as never, host: () => new ServerPolicy(alone) as never },
    });
  }

  /** Told of streams that end with an error. */
  override markFailed({ faultHandling }: Host, error: Error): void {
    faultHandling.execute(() => Promise.reject(error)).catch(() => undefined);
  }
}
