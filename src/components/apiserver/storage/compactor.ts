/** Compacts etcd every five minutes to what it was five minutes ago; of several API servers one does it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { EtcdClient } from './etcd-client.ts';

/** Upstream's key and its way of agreeing: who moves the key forward compacts. */
const key = 'compact_rev_key';

/** @param intervalMs `--etcd-compaction-interval`; 0 turns it off */
export async function compactRegularly(
  etcd: EtcdClient,
  intervalMs: number,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  if (intervalMs <= 0) return;
  let seen = 0;
  let previousRevision = 0;
  while (!signal.aborted) {
    try {
      await delay(intervalMs, undefined, { signal });
    } catch {
      // Told to stop.
      return;
    }
    try {
      const { kv, revision } = await etcd.get(key);
      const version = kv?.modRevision ?? 0;
      if (version !== seen) {
        // Another server has compacted since; it is its turn again.
        seen = version;
        previousRevision = revision;
        continue;
      }
      const { succeeded, revision: written } = await etcd.txn(
        [{ key, modRevision: version }],
        [{ op: 'put', key, value: String(previousRevision || revision) }],
      );
      if (!succeeded) continue;
      seen = written;
      if (previousRevision > 0) {
        await etcd.compact(previousRevision);
        log.debug({ revision: previousRevision }, 'compacted etcd');
      }
      previousRevision = written;
    } catch (error) {
      log.warn({ problem: (error as Error).message }, 'etcd was not compacted');
    }
  }
}
