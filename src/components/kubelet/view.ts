/** What the kubelet's server and health check see of the pods. */
import type { PodObserver } from './pods/observed.ts';
import { type PodTable, withStatus } from './pods/pod-table.ts';
import type { KubeletView } from './types.ts';

/** Without a complete list of the runtime's pods for this long the kubelet is not well. */
const relistLimitMs = 180_000;

export function createView({
  nodeName,
  table,
  observer,
}: {
  nodeName: string;
  table: PodTable;
  observer: PodObserver;
}): KubeletView {
  return {
    nodeName,
    pods: () => table.workers().map((worker) => withStatus(worker.pod, worker.status)),
    pod: (namespace, name) => {
      const worker = table
        .workers()
        .find(({ pod }) => pod.metadata?.namespace === namespace && pod.metadata?.name === name);
      return worker && withStatus(worker.pod, worker.status);
    },
    podStatus: (uid) => table.worker(uid)?.status,
    containerId: (uid, name, previous) => {
      const instances = (observer.get(uid)?.containers ?? []).filter((instance) => instance.name === name);
      return instances[previous ? 1 : 0]?.id;
    },
    sandboxId: (uid) => observer.get(uid)?.sandboxes.find(({ state }) => state === 'SANDBOX_READY')?.id,
    healthy: () => {
      const since = Date.now() - observer.lastList;
      return observer.lastList > 0 && since > relistLimitMs
        ? `pleg was last seen active ${Math.round(since / 1000)}s ago; threshold is 3m0s`
        : undefined;
    },
  };
}
