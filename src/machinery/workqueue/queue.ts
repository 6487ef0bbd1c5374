/** Work queues as client-go's: keys are handled once at a time, delayed and rate-limited on demand. */
import type { WorkQueue } from './types.ts';

export interface QueueOptions {
  /** First back-off of addRateLimited; default 5 ms. */
  baseDelayMs?: number;
  /** Default 1000 s. */
  maxDelayMs?: number;
}

export function createWorkQueue<K>({ baseDelayMs = 5, maxDelayMs = 1_000_000 }: QueueOptions = {}): WorkQueue<K> {
  const waiting: K[] = [];
  /** Keys to be handled: waiting ones, and those added while being handled. */
  const dirty = new Set<K>();
  const processing = new Set<K>();
  const failures = new Map<K, number>();
  const timers = new Map<K, { timer: NodeJS.Timeout; at: number }>();
  const takers: ((key: K | undefined) => void)[] = [];
  let stopped = false;

  const offer = (key: K) => {
    const taker = takers.shift();
    if (!taker) {
      waiting.push(key);
      return;
    }
    dirty.delete(key);
    processing.add(key);
    taker(key);
  };

  const queue: WorkQueue<K> = {
    get length() {
      return waiting.length;
    },
    add(key) {
      if (stopped || dirty.has(key)) return;
      dirty.add(key);
      if (!processing.has(key)) offer(key);
    },
    addAfter(key, delayMs) {
      if (stopped) return;
      if (delayMs <= 0) {
        queue.add(key);
        return;
      }
      const at = Date.now() + delayMs;
      const known = timers.get(key);
      if (known && known.at <= at) return;
      if (known) clearTimeout(known.timer);
      // setTimeout takes at most 2^31-1 ms; a longer wait is taken in steps.
      const step = Math.min(delayMs, 2_000_000_000);
      const timer = setTimeout(() => {
        timers.delete(key);
        if (step < delayMs) queue.addAfter(key, delayMs - step);
        else queue.add(key);
      }, step);
      timers.set(key, { timer, at });
    },
    addRateLimited(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      queue.addAfter(key, Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(count, 40)));
    },
    forget(key) {
      failures.delete(key);
    },
    failures: (key) => failures.get(key) ?? 0,
    get() {
      const key = waiting.shift();
      if (key !== undefined) {
        dirty.delete(key);
        processing.add(key);
        return Promise.resolve(key);
      }
      if (stopped) return Promise.resolve(undefined);
      return new Promise((resolve) => takers.push(resolve));
    },
    done(key) {
      processing.delete(key);
      if (dirty.has(key)) offer(key);
    },
    shutDown() {
      stopped = true;
      for (const { timer } of timers.values()) clearTimeout(timer);
      timers.clear();
      for (const taker of takers.splice(0)) taker(undefined);
    },
  };
  return queue;
}

/**
 * Handles keys with `count` workers until the signal fires. A handler that throws has its key tried again after a back-off.
 * @param onError told of each failure
 */
export async function runWorkers<K>(
  queue: WorkQueue<K>,
  count: number,
  handler: (key: K) => Promise<void>,
  signal: AbortSignal,
  onError: (key: K, error: Error) => void,
): Promise<void> {
  const stop = () => queue.shutDown();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const worker = async () => {
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      try {
        await handler(key);
        queue.forget(key);
      } catch (error) {
        onError(key, error as Error);
        queue.addRateLimited(key);
      } finally {
        queue.done(key);
      }
    }
  };
  await Promise.all(Array.from({ length: count }, worker));
}
