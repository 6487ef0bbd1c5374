/** Acts on pressure: images nobody uses go first, then pods, one at a time. */
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Configuration } from '../config/settings.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { PodTable } from '../pods/pod-table.ts';
import type { PodWorker } from '../pods/worker.ts';
import type { EventSink } from '../types.ts';
import { evictionMessage, rankForEviction, usageByPod } from './eviction.ts';
import type { PressureWatch } from './pressure.ts';

/** The next pod is chosen when the last one is gone, or after this long. */
const settleMs = 30_000;

export interface Evictor {
  /** @param signals whose thresholds are met */
  relieve(signals: string[]): void;
}

export function createEvictor(options: {
  runtime: Runtime;
  configuration: Configuration;
  table: PodTable;
  pressure: PressureWatch;
  freeImages(): Promise<void>;
  events: EventSink;
  log: Logger;
}): Evictor {
  const { runtime, configuration, table, pressure, events, log } = options;
  let busy = false;
  let imagesFreedAt = 0;
  let last: { worker: PodWorker; at: number } | undefined;

  const relieve = async (signals: string[]) => {
    // Memory before disk: it runs out faster.
    const signal = signals.includes('memory.available') ? 'memory.available' : signals[0];
    if (signal === undefined) return;
    if (last && last.worker.state !== 'terminated' && Date.now() - last.at < settleMs) return;
    log.warn({ signals }, 'Eviction manager: attempting to reclaim');
    events.node('Warning', 'EvictionThresholdMet', `Attempting to reclaim ${nameOf(signal)}`);
    if (/^(imagefs|nodefs)\./.test(signal)) {
      const first = imagesFreedAt === 0 || Date.now() - imagesFreedAt > settleMs * 4;
      imagesFreedAt = Date.now();
      await options.freeImages();
      // The next measurement shows whether that was enough.
      if (first) return;
    }
    const usages = usageByPod(await runtime.listContainerStats());
    const candidates = table.workers().filter(({ state }) => state === 'running');
    const ranked = rankForEviction(
      candidates.map(({ pod }) => pod),
      usages,
      signal,
    );
    const victim = candidates.find(({ pod }) => pod === ranked[0]);
    if (!victim) {
      log.error('Eviction manager: no pods are active to evict');
      return;
    }
    const hard = configuration.evictionHard[signal];
    const threshold = hard ?? configuration.evictionSoft[signal];
    const usage = usages.get(victim.uid);
    const message = evictionMessage(victim.pod, usage, signal, threshold, pressure.signals());
    const grace = hard === undefined ? configuration.evictionMaxPodGracePeriod : 0;
    events.pod(victim.pod, 'Warning', 'Evicted', message);
    last = { worker: victim, at: Date.now() };
    victim.terminate(Math.max(grace, 1), { reason: 'Evicted', message });
  };
  return {
    relieve(signals) {
      if (busy) return;
      busy = true;
      relieve(signals)
        .catch((error: Error) => log.error(`cannot relieve pressure: ${error.message}`))
        .finally(() => {
          busy = false;
        });
    },
  };
}

const nameOf = (signal: string): string =>
  signal === 'memory.available'
    ? 'memory'
    : signal.startsWith('pid')
      ? 'pids'
      : signal.endsWith('inodesFree')
        ? 'inodes'
        : 'ephemeral-storage';
