/** The common frame of controllers: handlers put keys into a queue, workers bring each key's object to where it should be. */
import { isConflict } from '../../../machinery/client/errors.ts';
import { pause } from '../../../machinery/process/pause.ts';
import { runWorkers } from '../../../machinery/workqueue/queue.ts';
import type { WorkQueue } from '../../../machinery/workqueue/types.ts';
import type { ControllerContext } from './controller.ts';

export interface Reconciler<K> {
  queue: WorkQueue<K>;
  /** The informers that must have synced before the first key is handled. */
  sources: { synced(signal?: AbortSignal): Promise<void> }[];
  /** Keys handled at the same time; default 1. */
  workers?: number;
  /** Throwing has the key tried again after a back-off. */
  reconcile(key: K): Promise<void>;
}

/** Runs until the context's signal fires. */
export async function runReconciler<K>(
  { signal, logger }: Pick<ControllerContext, 'signal' | 'logger'>,
  { queue, sources, workers = 1, reconcile }: Reconciler<K>,
): Promise<void> {
  await Promise.all(sources.map((source) => source.synced(signal)));
  await runWorkers(queue, workers, reconcile, signal, (key, error) => {
    if (signal.aborted) return;
    // A conflict only says that somebody else was faster; the retry sees the new state.
    if (isConflict(error)) logger.debug({ object: key }, error.message);
    else logger.warn({ object: key }, error.message);
  });
}

/** Calls `work` now and then every `periodMs` until the signal fires; a failure is logged and tried again with the next period. */
export async function runPeriodically(
  { signal, logger }: Pick<ControllerContext, 'signal' | 'logger'>,
  periodMs: number,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) logger.warn((error as Error).message);
    }
    await pause(periodMs, signal);
  }
}
