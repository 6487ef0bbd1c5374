/** All pods of this node and their workers: what the sources want, against what runs. */
import type { Pod, PodStatus } from '../../../machinery/api/types.ts';
import { isStaticPod } from '../static-pods/defaults.ts';
import type { PodContext } from './context.ts';
import { fullName, isMirrorPod } from './identity.ts';
import { hasRunning, killPod } from './kill.ts';
import type { ObservedPod } from './observed.ts';
import { PodWorker } from './worker.ts';

export interface PodTable {
  /** The sources' pods changed: start, update and end workers. */
  reconcile(): void;
  /** Something happened to a pod. */
  trigger(uid: string): void;
  triggerAll(): void;
  worker(uid: string): PodWorker | undefined;
  workers(): PodWorker[];
  /** Ends pods that nobody wants, once the sources are known; removes what they left. */
  cleanUp(): Promise<void>;
  close(): void;
}

export interface PodSources {
  static: { ready: boolean; pods(): Pod[] };
  /** Pods of the API server that are bound to this node, mirrors included. */
  api: { ready: boolean; pods(): Pod[] };
}

export function createPodTable(context: PodContext, sources: PodSources): PodTable {
  const workers = new Map<string, PodWorker>();
  const ending = new Set<string>();
  /** Static pods that end because their manifest was taken away: it may come back before they have ended. */
  const withdrawn = new Set<string>();
  let cleaning = false;

  /** A static pod whose manifest changed starts when the one before it is gone. */
  const blocked = (pod: Pod): boolean =>
    isStaticPod(pod) &&
    [...workers.values()].some(
      (worker) =>
        worker.uid !== pod.metadata?.uid && fullName(worker.pod) === fullName(pod) && worker.state !== 'terminated',
    );

  const reconcile = () => {
    const wanted = new Map<string, Pod>();
    for (const pod of sources.static.pods()) wanted.set(pod.metadata?.uid ?? '', pod);
    for (const pod of sources.api.pods()) if (!isMirrorPod(pod)) wanted.set(pod.metadata?.uid ?? '', pod);
    for (const worker of workers.values()) {
      if (wanted.has(worker.uid)) continue;
      const source = isStaticPod(worker.pod) ? sources.static : sources.api;
      if (!source.ready) continue;
      if (worker.state === 'terminated') {
        worker.close();
        workers.delete(worker.uid);
        withdrawn.delete(worker.uid);
        void cleanUp();
      } else {
        if (source === sources.static) withdrawn.add(worker.uid);
        worker.terminate();
      }
    }
    for (const [uid, pod] of wanted) {
      const worker = workers.get(uid);
      const returned = worker?.state === 'terminated' && withdrawn.delete(uid);
      if (returned) worker.close();
      else if (worker) {
        if (worker.pod !== pod) worker.update(pod);
        continue;
      }
      if (blocked(pod)) continue;
      // How the withdrawn one ended says nothing of the one that has come back.
      const fresh = new PodWorker(pod, context, returned ? undefined : context.knownStatus(pod));
      workers.set(uid, fresh);
      fresh.update(pod);
    }
  };

  const known = (uid: string) => workers.has(uid);

  const cleanUp = async () => {
    if (cleaning || !sources.static.ready || !sources.api.ready) return;
    cleaning = true;
    try {
      for (const observed of context.observer.all()) if (!known(observed.uid)) await removeOrphan(observed);
      for (const uid of await context.volumes.podUids())
        if (!known(uid) && !context.observer.get(uid)) await context.volumes.tearDown(uid);
    } catch (error) {
      context.log.error(`cannot clean up after pods: ${(error as Error).message}`);
    } finally {
      cleaning = false;
    }
  };
  const removeOrphan = async (observed: ObservedPod) => {
    const { uid } = observed;
    if (ending.has(uid)) return;
    ending.add(uid);
    // Its grace period must not hold up the others.
    const work = async () => {
      if (hasRunning(observed)) {
        context.log.info(
          { pod: `${observed.name}_${observed.namespace}(${uid})` },
          'Ending a pod that is not wanted any more',
        );
        await killPod(context, undefined, observed, undefined);
      }
      for (const { id } of observed.containers) await context.runtime.removeContainer(id);
      for (const { id } of observed.sandboxes) {
        await context.runtime.stopPodSandbox(id);
        await context.runtime.removePodSandbox(id);
      }
      await context.volumes.tearDown(uid);
      await context.cgroups.remove(uid);
      context.observer.poke();
    };
    void work()
      .catch((error: Error) => context.log.error({ uid }, `cannot end an orphaned pod: ${error.message}`))
      .finally(() => ending.delete(uid));
  };

  return {
    reconcile,
    cleanUp,
    trigger: (uid) => workers.get(uid)?.trigger(),
    triggerAll: () => {
      for (const worker of workers.values()) worker.trigger();
    },
    worker: (uid) => workers.get(uid),
    workers: () => [...workers.values()],
    close: () => {
      for (const worker of workers.values()) worker.close();
    },
  };
}

/** With its latest status. */
export function withStatus(pod: Pod, status: PodStatus | undefined): Pod {
  return status ? { ...pod, status } : pod;
}
