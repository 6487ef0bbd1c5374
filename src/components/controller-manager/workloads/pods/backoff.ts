/** Waits that double with every failure of a key and start over after a quiet time. */
export class Backoff {
  readonly #entries = new Map<string, { delayMs: number; at: number }>();
  readonly #firstMs: number;
  readonly #longestMs: number;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  /** Milliseconds still to wait; 0 when the key may be tried. */
  remaining(key: string, now = Date.now()): number {
    const entry = this.#entries.get(key);
    return entry ? Math.max(0, entry.at + entry.delayMs - now) : 0;
  }

  /** Notes a failure. */
  failed(key: string, now = Date.now()): void {
    const entry = this.#entries.get(key);
    const quiet = !entry || now - entry.at > 2 * this.#longestMs;
    this.#entries.set(key, {
      delayMs: quiet ? this.#firstMs : Math.min(entry.delayMs * 2, this.#longestMs),
      at: now,
    });
    for (const [other, { at }] of this.#entries) if (now - at > 2 * this.#longestMs) this.#entries.delete(other);
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }
}
