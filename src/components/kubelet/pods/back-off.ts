/** Delays that double while something keeps failing, and are forgotten when it has been well for a while (upstream's flowcontrol.Backoff). */

export interface BackOff {
  /** Milliseconds that are left before the next try; 0 when it may be tried now. `since`: when the failure was. */
  remaining(key: string, since: number, now?: number): number;
  /** The delay that applies now, for messages. */
  delay(key: string): number;
  /** Doubles the delay. */
  next(key: string, since: number): void;
  reset(key: string): void;
  /** Forgets keys that begin with `prefix`. */
  forget(prefix: string): void;
}

export function createBackOff(firstMs: number, longestMs: number): BackOff {
  const entries = new Map<string, { delayMs: number; updatedAt: number }>();
  // Quiet for twice the longest delay: the next failure is a first one again.
  const expired = (entry: { updatedAt: number }, at: number) => at - entry.updatedAt > longestMs * 2;
  return {
    remaining(key, since, now = Date.now()) {
      const entry = entries.get(key);
      if (!entry || expired(entry, since)) return 0;
      return Math.max(0, since + entry.delayMs - now);
    },
    delay: (key) => entries.get(key)?.delayMs ?? 0,
    next(key, since) {
      const entry = entries.get(key);
      const delayMs = !entry || expired(entry, since) ? firstMs : Math.min(entry.delayMs * 2, longestMs);
      entries.set(key, { delayMs, updatedAt: Date.now() });
    },
    reset: (key) => entries.delete(key),
    forget(prefix) {
      for (const key of entries.keys()) if (key.startsWith(prefix)) entries.delete(key);
    },
  };
}
