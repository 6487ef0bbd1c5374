/**
 * What becomes of an event before it is sent: repeated ones count up, many similar ones are combined, too many about one
 * object are dropped. Upstream's numbers: 10 similar in 10 minutes, 25 at once and then one in 5 minutes.
 */

export interface OccurredEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  /** Identifies the object and, for containers, its part. */
  objectKey: string;
  /** Who reports. */
  source: string;
}

export type Correlation =
  | { action: 'drop' }
  | { action: 'create'; key: string; message: string }
  | { action: 'count'; key: string; message: string; count: number; firstTimestampMs: number; name: string };

interface Known {
  name: string;
  count: number;
  firstTimestampMs: number;
}
interface Similar {
  messages: Set<string>;
  lastMs: number;
}
interface Bucket {
  tokens: number;
  atMs: number;
}

const similarLimit = 10;
const similarWindowMs = 600_000;
const burst = 25;
const refillMs = 300_000;
const cacheSize = 4096;

export class EventCorrelator {
  readonly #known = new Map<string, Known>();
  readonly #similar = new Map<string, Similar>();
  readonly #buckets = new Map<string, Bucket>();

  correlate(event: OccurredEvent, nowMs: number): Correlation {
    const { message, key } = this.#aggregate(event, nowMs);
    if (!this.#allowed(`${event.source}|${event.objectKey}`, nowMs)) return { action: 'drop' };
    const known = touch(this.#known, key);
    if (!known) return { action: 'create', key, message };
    known.count += 1;
    return { action: 'count', key, message, ...known };
  }

  /** Remembers what was created, so that the next one like it counts up. */
  created(key: string, name: string, firstTimestampMs: number): void {
    put(this.#known, key, { name, count: 1, firstTimestampMs });
  }

  /** The event no longer exists on the server. */
  forget(key: string): void {
    this.#known.delete(key);
  }

  #aggregate(event: OccurredEvent, nowMs: number): { message: string; key: string } {
    const base = [event.source, event.objectKey, event.type, event.reason].join('|');
    let similar = touch(this.#similar, base);
    if (!similar || nowMs - similar.lastMs > similarWindowMs) {
      similar = { messages: new Set(), lastMs: nowMs };
      put(this.#similar, base, similar);
    }
    similar.lastMs = nowMs;
    similar.messages.add(event.message);
    if (similar.messages.size < similarLimit) return { message: event.message, key: `${base}|${event.message}` };
    // Any one of the messages may go: only their number matters.
    similar.messages.delete(similar.messages.values().next().value as string);
    return { message: `(combined from similar events): ${event.message}`, key: base };
  }

  #allowed(key: string, nowMs: number): boolean {
    const bucket = touch(this.#buckets, key) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    bucket.atMs = nowMs;
    put(this.#buckets, key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}

/** Reads an entry and makes it the most recently used one. */
function touch<V>(cache: Map<string, V>, key: string): V | undefined {
  const value = cache.get(key);
  if (value !== undefined) {
    cache.delete(key);
    cache.set(key, value);
  }
  return value;
}

function put<V>(cache: Map<string, V>, key: string, value: V): void {
  cache.set(key, value);
  if (cache.size > cacheSize) cache.delete(cache.keys().next().value as string);
}
