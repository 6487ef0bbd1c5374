/** Leases that let Events vanish: one lease serves all that are written within a short time, as upstream's lease reuse does. */
import type { EtcdClient } from './etcd-client.ts';

const reuseMs = 60_000;
const reuseCount = 1_000;

export class EventLeases {
  readonly #etcd: EtcdClient;
  readonly #ttlSeconds: number;
  #current: { id: Promise<string>; until: number; left: number } | undefined;

  constructor(etcd: EtcdClient, ttlSeconds: number) {
    this.#etcd = etcd;
    this.#ttlSeconds = ttlSeconds;
  }

  async lease(now = Date.now()): Promise<string> {
    if (!this.#current || this.#current.until < now || this.#current.left <= 0) {
      const reuseSeconds = Math.min(reuseMs / 1000, this.#ttlSeconds / 20);
      const id = this.#etcd.grantLease(Math.ceil(this.#ttlSeconds + reuseSeconds));
      this.#current = { id, until: now + reuseSeconds * 1000, left: reuseCount };
    }
    const current = this.#current;
    current.left--;
    try {
      return await current.id;
    } catch (error) {
      if (this.#current === current) this.#current = undefined;
      throw error;
    }
  }
}
