/** Waits for what comes true by itself. */
import { setTimeout as delay } from 'node:timers/promises';

/** Tries until it no longer throws; throws the last error after the time. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs: number): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(100);
    }
  }
}
