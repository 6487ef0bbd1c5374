/** Waiting for a condition, with a deadline. */

export interface WaitOptions {
  timeoutMs: number;
  /** Default 100. */
  intervalMs?: number;
  signal?: AbortSignal;
  /** The error when the time is over. */
  failure(): Error;
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    }
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Resolves as soon as the condition holds; what the condition throws ends the wait. */
export async function waitUntil(condition: () => Promise<boolean>, options: WaitOptions): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  while (!(await condition())) {
    if (Date.now() >= deadline) throw options.failure();
    await pause(options.intervalMs ?? 100, options.signal);
  }
}
