/** How long small writes to a disk take, written as etcd writes its log: one after the other, each waited for. */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pause } from '../../machinery/process/pause.ts';

/** The file that is written to; it has this name only for a moment. */
export const timingFile = '.kinit-timing';

export interface SyncTiming {
  blockBytes: number;
  blocks: number;
  /** No longer than this, also when a write takes longer. */
  budgetMs: number;
}

/** Milliseconds of each write; one that has not ended in time counts with the time that it has taken. */
export async function timeSyncs(folder: string, { blockBytes, blocks, budgetMs }: SyncTiming): Promise<number[]> {
  const path = join(folder, timingFile);
  // Left over from a run that was broken off.
  await rm(path, { force: true });
  const handle = await open(path, 'wx', 0o600);
  const latencies: number[] = [];
  const enough = new AbortController();
  let began: number | undefined;
  const measure = async () => {
    try {
      await rm(path);
      // The room first, as etcd does it; what others had still to write goes to the disk with it.
      await handle.write(Buffer.alloc(blockBytes * blocks));
      await handle.datasync();
      const block = Buffer.alloc(blockBytes, 1);
      for (let at = 0; at < blocks && !enough.signal.aborted; at++) {
        began = performance.now();
        await handle.write(block, 0, blockBytes, at * blockBytes);
        await handle.datasync();
        latencies.push(performance.now() - began);
      }
      began = undefined;
    } finally {
      await handle.close();
    }
  };
  // A write that has begun cannot be called back, but need not be waited for.
  const failed = measure().then(
    () => undefined,
    (error: Error) => error,
  );
  const error = await Promise.race([failed, pause(budgetMs, enough.signal).then(() => undefined)]);
  enough.abort();
  if (error) throw error;
  return began === undefined ? [...latencies] : [...latencies, performance.now() - began];
}
