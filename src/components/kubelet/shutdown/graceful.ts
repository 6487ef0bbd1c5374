/**
 * A machine that shuts down ends its pods first, the unimportant before those that they need (KEP-2000): systemd waits for it,
 * the node tells that it is not ready any more, and no new pod is taken.
 */
import type { Logger } from '../../../machinery/logging/logger.ts';
import { pause } from '../../../machinery/process/pause.ts';
import { gracePeriod } from '../pods/kill.ts';
import type { PodWorker } from '../pods/worker.ts';
import type { EventSink } from '../types.ts';
import { podsByGroup, type ShutdownGroup, wholeSeconds } from './groups.ts';
import { allowDelay, inhibitShutdown, watchShutdown } from './logind.ts';

const terminated = {
  reason: 'Terminated',
  message: 'Pod was terminated in response to imminent node shutdown.',
};
/** Given to the API server to hear of it, beside the pods' own time. */
const tellMs = 2000;

export interface GracefulShutdown {
  /** The machine is about to shut down. */
  readonly active: boolean;
}

export interface GracefulShutdownOptions {
  /** Empty: shutdowns are not waited for. */
  groups: readonly ShutdownGroup[];
  workers(): PodWorker[];
  onChange(): void;
  /** The API server has been told everything. */
  told(): boolean;
  events: EventSink;
  log: Logger;
  signal: AbortSignal;
}

export function prepareForShutdown(options: GracefulShutdownOptions): GracefulShutdown {
  const { groups, log, signal, events } = options;
  let active = false;
  let lock: { release(): void } | undefined;

  const hold = () => {
    lock ??= inhibitShutdown(() => {
      lock = undefined;
      if (signal.aborted || active) return;
      log.warn('the lock that delays a shutdown was lost; taken again in 5 s');
      void pause(5000, signal).then(() => {
        if (!signal.aborted && !active) hold();
      });
    });
  };
  const release = () => {
    lock?.release();
    lock = undefined;
  };
  const onPrepare = (shutdown: boolean) => {
    if (shutdown === active) return;
    active = shutdown;
    options.onChange();
    if (!shutdown) {
      log.info('the shutdown was called off');
      hold();
      return;
    }
    log.info('Shutdown manager detected new shutdown event');
    events.node('Normal', 'Shutdown', 'Shutdown manager detected shutdown event');
    endPods()
      .catch((error: Error) => log.error(`cannot end pods before the shutdown: ${error.message}`))
      .finally(release);
  };
  const endPods = async () => {
    const running = options.workers().filter(({ state }) => state !== 'terminated');
    for (const { group, items } of podsByGroup(groups, running)) {
      log.info({ priority: group.priority, seconds: group.seconds, pods: items.length }, 'Ending pods');
      for (const worker of items) {
        const ended = worker.status?.phase === 'Succeeded' ? undefined : terminated;
        worker.terminate(Math.min(gracePeriod(worker.pod), group.seconds), ended);
      }
      await until(() => items.every(({ state }) => state === 'terminated'), group.seconds * 1000);
    }
    await until(options.told, tellMs);
    log.info('Shutdown manager completed processing shutdown event, node will shutdown shortly');
  };
  const until = async (met: () => boolean, ms: number) => {
    const deadline = Date.now() + ms;
    while (!met() && active && !signal.aborted && Date.now() < deadline) await pause(50, signal);
  };
  const start = async () => {
    await allowDelay(wholeSeconds(groups) + tellMs / 1000, signal);
    watchShutdown(onPrepare, log, signal);
    hold();
  };

  if (wholeSeconds(groups) > 0) {
    signal.addEventListener('abort', release, { once: true });
    start().catch((error: Error) => log.error(`Failed to start node shutdown manager: ${error.message}`));
  }
  return {
    get active() {
      return active;
    },
  };
}
