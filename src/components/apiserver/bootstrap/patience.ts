/** A server that starts on a busy machine waits for etcd instead of ending at its first late answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { StatusError } from '../errors.ts';
import { EtcdUnavailableError } from '../storage/etcd-client.ts';

const patienceMs = 60_000;
const pauseMs = 500;

/** Repeats idempotent work as long as only etcd is the problem, for a minute at most. */
export async function patiently(work: () => Promise<void>, log: Logger, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const late =
        error instanceof EtcdUnavailableError || (error instanceof StatusError && [503, 504].includes(error.code));
      if (!late || signal.aborted || Date.now() > deadline) throw error;
      log.warn({ problem: (error as Error).message }, 'what every cluster has could not be stored; trying again');
      await delay(pauseMs, undefined, { signal });
    }
  }
}
