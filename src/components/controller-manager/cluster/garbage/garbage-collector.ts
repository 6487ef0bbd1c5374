/** Deletes objects whose owners are gone, and carries out foreground and orphaning deletions. */
import { isConflict } from '../../../../machinery/client/errors.ts';
import { pause } from '../../../../machinery/process/pause.ts';
import { createWorkQueue, runWorkers } from '../../../../machinery/workqueue/queue.ts';
import type { WorkQueue } from '../../../../machinery/workqueue/types.ts';
import type { Controller } from '../../framework/controller.ts';
import { type DiscoveredResource, DiscoveryReader } from '../../framework/discovery.ts';
import { runPeriodically } from '../../framework/reconciler.ts';
import { Collector, NotObserved, UnknownKind } from './collector.ts';
import { OwnerGraph } from './graph.ts';
import { Monitors } from './monitors.ts';

const discoveryPeriodMs = 30_000;
/** One resource whose server does not answer must not keep the garbage of all others. */
const syncTimeoutMs = 30_000;

export const garbageCollector: Controller = {
  name: 'garbage-collector-controller',
  serviceAccount: 'generic-garbage-collector',
  async run(context) {
    const { client, informers, options, signal, logger } = context;
    if (!options.enableGarbageCollector) return;
    const toDelete = createWorkQueue<string>({ baseDelayMs: 100, maxDelayMs: 30_000 });
    const toOrphan = createWorkQueue<string>({ baseDelayMs: 100, maxDelayMs: 30_000 });
    const graph = new OwnerGraph(({ attemptDelete, attemptOrphan }) => {
      for (const uid of attemptDelete) toDelete.add(uid);
      for (const uid of attemptOrphan) toOrphan.add(uid);
    });
    const discovery = new DiscoveryReader(client);
    let types = new Map<string, DiscoveredResource>();
    const collector = new Collector({
      client,
      graph,
      typeOf: (group, kind) => types.get(`${group}/${kind}`),
      enqueueDelete: (uid) => toDelete.add(uid),
    });
    const monitors = new Monitors({
      client,
      graph,
      shared: (type) => informers.existing(type),
      signal,
      onError: (message) => logger.debug(message),
    });
    const refresh = async () => {
      const found = await discovery.read(signal);
      types = new Map(found.resources.map((type) => [`${type.group}/${type.kind}`, type]));
      await monitors.update(found);
    };

    // In a later turn: the other controllers have asked for their informers then.
    await pause(10, signal);
    while (!signal.aborted) {
      try {
        await refresh();
        break;
      } catch (error) {
        if (!signal.aborted) logger.warn((error as Error).message);
        await pause(2_000, signal);
      }
    }
    await Promise.race([monitors.synced(signal), pause(syncTimeoutMs, signal)]);
    if (signal.aborted) return;
    logger.info({ objects: graph.size }, 'all resource monitors have synced');
    const onError = (queue: WorkQueue<string>) => (uid: string, error: Error) => {
      if (signal.aborted) return;
      const node = graph.get(uid);
      const what = { object: `${node?.kind} ${node?.namespace}/${node?.name}`, failures: queue.failures(uid) };
      if (isConflict(error) || error instanceof NotObserved || error instanceof UnknownKind)
        logger.debug(what, error.message);
      else logger.warn(what, error.message);
    };
    const attempt = (uid: string) => collector.attemptDelete(uid);
    const orphan = (uid: string) => collector.attemptOrphan(uid);
    await Promise.all([
      runPeriodically(context, discoveryPeriodMs, refresh),
      runWorkers(toDelete, options.concurrentGcSyncs, attempt, signal, onError(toDelete)),
      runWorkers(toOrphan, 4, orphan, signal, onError(toOrphan)),
    ]);
  },
};
