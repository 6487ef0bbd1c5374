/** Deletes pods that nobody else will: terminated ones above the threshold, those of nodes that are gone, never placed ones. */
import { taintKeys } from '../../../../machinery/api/taints.ts';
import { formatTime, timeOf } from '../../../../machinery/api/time.ts';
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { nodes, pods } from '../../../../machinery/client/resources.ts';
import type { ResourceClient } from '../../../../machinery/client/types.ts';
import type { Controller } from '../../framework/controller.ts';
import { runPeriodically } from '../../framework/reconciler.ts';
import { readinessOf } from './node-health.ts';

const periodMs = 20_000;
/** How long a node must be missing before its pods go: it may only be re-registering. */
const quarantineMs = 40_000;

const isTerminated = ({ status }: Pod) => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** The terminated pods above the threshold, evicted ones and oldest first. */
export function surplusTerminated(all: Pod[], threshold: number): Pod[] {
  if (threshold <= 0) return [];
  const terminated = all.filter((pod) => isTerminated(pod) && !pod.metadata?.deletionTimestamp);
  const order = (pod: Pod) =>
    (pod.status?.reason === 'Evicted' ? 0 : 1e15) + timeOf(pod.metadata?.creationTimestamp ?? undefined);
  return terminated.sort((a, b) => order(a) - order(b)).slice(0, Math.max(0, terminated.length - threshold));
}

/** Pods that are being deleted on nodes that are out of service: their kubelet will never answer. */
export function outOfServicePods(all: Pod[], nodeOf: (name: string) => Node | undefined): Pod[] {
  return all.filter((pod) => {
    const node = pod.metadata?.deletionTimestamp && pod.spec?.nodeName ? nodeOf(pod.spec.nodeName) : undefined;
    if (!node || readinessOf(node) === 'True') return false;
    return node.spec?.taints?.some(({ key }) => key === taintKeys.outOfService) ?? false;
  });
}

export const podGarbageCollector: Controller = {
  name: 'pod-garbage-collector-controller',
  serviceAccount: 'pod-garbage-collector',
  async run(context) {
    const { client, options, signal, logger } = context;
    const podInformer = context.informers.informer(pods);
    const nodeInformer = context.informers.informer(nodes);
    const api = client.resource(pods);
    /** Since when a node that pods name has been missing. */
    const missing = new Map<string, number>();
    await Promise.all([podInformer.synced(signal), nodeInformer.synced(signal)]);

    const lostNodes = async (all: Pod[]): Promise<Set<string>> => {
      const named = new Set(all.flatMap(({ spec }) => spec?.nodeName ?? []));
      for (const name of missing.keys()) if (!named.has(name) || nodeInformer.store.get(name)) missing.delete(name);
      const lost = new Set<string>();
      for (const name of named) {
        if (nodeInformer.store.get(name)) continue;
        const since = missing.get(name) ?? Date.now();
        missing.set(name, since);
        if (Date.now() - since < quarantineMs) continue;
        if (!(await client.resource(nodes).find({ name }))) lost.add(name);
      }
      return lost;
    };

    const remove = async (pod: Pod, orphanMessage?: string) => {
      try {
        await removePod(api, pod, orphanMessage);
      } catch (error) {
        if (!isNotFound(error))
          logger.warn(`${pod.metadata?.namespace}/${pod.metadata?.name}: ${(error as Error).message}`);
      }
    };

    await runPeriodically(context, periodMs, async () => {
      const all = podInformer.store.list();
      for (const pod of surplusTerminated(all, options.terminatedPodGcThreshold)) await remove(pod);
      for (const pod of outOfServicePods(all, (name) => nodeInformer.store.get(name))) await remove(pod);
      const lost = await lostNodes(all);
      for (const pod of all) {
        const { nodeName } = pod.spec ?? {};
        if (nodeName && lost.has(nodeName)) await remove(pod, 'PodGC: node no longer exists');
        else if (!nodeName && pod.metadata?.deletionTimestamp) await remove(pod);
      }
    });
  },
};

/** Marks a pod that has not ended as failed, and deletes it without grace. */
async function removePod(api: ResourceClient<Pod>, pod: Pod, orphanMessage?: string): Promise<void> {
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  if (!isTerminated(pod)) {
    const conditions = orphanMessage
      ? [
          {
            type: 'DisruptionTarget',
            status: 'True',
            reason: 'DeletionByPodGC',
            message: orphanMessage,
            lastTransitionTime: formatTime(),
          },
        ]
      : undefined;
    await api.patch(
      { namespace, name },
      { metadata: { uid }, status: { phase: 'Failed', ...(conditions ? { conditions } : {}) } },
      { type: 'strategic', subresource: 'status' },
    );
  }
  await api.delete({ namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
}
