/** The contract of work queues: each key is handled by one worker at a time, and again if it was added meanwhile. */
export interface WorkQueue<K> {
  readonly length: number;
  add(key: K): void;
  addAfter(key: K, delayMs: number): void;
  /** Adds after an exponential back-off per key (default 5 ms doubling up to 1000 s). */
  addRateLimited(key: K): void;
  /** Forgets the key's failures. */
  forget(key: K): void;
  failures(key: K): number;
  /** The next key, or undefined when the queue was shut down. */
  get(): Promise<K | undefined>;
  done(key: K): void;
  shutDown(): void;
}
