/** Deletes pods that do not tolerate their node's NoExecute taints: at once, or after their `tolerationSeconds`. */
import { tolerated, toleratesTaint } from '../../../../machinery/api/taints.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Node, Pod, Taint } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { nodes, pods } from '../../../../machinery/client/resources.ts';
import { keyOf, splitKey } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { podsByNode } from './pods-by-node.ts';

const noExecute = (node: Node | undefined): Taint[] =>
  (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');

/** How long the pod may stay, in milliseconds: 0 not at all, Infinity for ever. */
export function toleratedMs(pod: Pod, taints: Taint[]): number {
  const tolerations = pod.spec?.tolerations ?? [];
  if (taints.some((taint) => !tolerated(taint, tolerations))) return 0;
  const used = taints.flatMap((taint) =>
    tolerations.filter((toleration) => toleratesTaint(toleration, taint)).slice(0, 1),
  );
  const seconds = used.flatMap(({ tolerationSeconds }) =>
    tolerationSeconds === undefined || tolerationSeconds === null ? [] : [Math.max(0, tolerationSeconds)],
  );
  return seconds.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...seconds) * 1000;
}

export const taintEviction: Controller = {
  name: 'taint-eviction-controller',
  serviceAccount: 'node-controller',
  async run(context) {
    const { client } = context;
    const recorder = context.recorder('taint-eviction-controller');
    const nodeInformer = context.informers.informer(nodes);
    const podInformer = context.informers.informer(pods);
    podInformer.addIndex('node', podsByNode);
    const queue = createWorkQueue<string>();
    /** Since when a pod's time runs, by its key. */
    const running = new Map<string, { uid: string; since: number }>();

    const addPodsOf = (node: Node) => {
      for (const pod of podInformer.store.byIndex('node', node.metadata?.name ?? '')) queue.add(keyOf(pod));
    };
    const addPod = (pod: Pod) => {
      const node = pod.spec?.nodeName ? nodeInformer.store.get(pod.spec.nodeName) : undefined;
      if (noExecute(node).length > 0 || running.has(keyOf(pod))) queue.add(keyOf(pod));
    };
    nodeInformer.addHandler({
      onAdd: (node) => noExecute(node).length > 0 && addPodsOf(node),
      onUpdate: (old, node) => {
        if (JSON.stringify(noExecute(old)) !== JSON.stringify(noExecute(node))) addPodsOf(node);
      },
    });
    podInformer.addHandler({
      onAdd: addPod,
      onUpdate: (old, pod) => {
        const placed = old.spec?.nodeName !== pod.spec?.nodeName;
        if (placed || JSON.stringify(old.spec?.tolerations) !== JSON.stringify(pod.spec?.tolerations)) addPod(pod);
      },
      onDelete: (pod) => running.delete(keyOf(pod)),
    });

    const cancel = (key: string, pod: Pod) => {
      if (!running.delete(key)) return;
      recorder.event(reference(pod), 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
    };

    await runReconciler(context, {
      queue,
      sources: [nodeInformer, podInformer],
      workers: 8,
      async reconcile(key) {
        const pod = podInformer.store.get(key);
        if (!pod?.spec?.nodeName) return;
        const { uid = '' } = pod.metadata ?? {};
        const taints = noExecute(nodeInformer.store.get(pod.spec.nodeName));
        const left = taints.length > 0 ? toleratedMs(pod, taints) : Number.POSITIVE_INFINITY;
        if (left === Number.POSITIVE_INFINITY) return cancel(key, pod);
        const known = running.get(key);
        const since = known?.uid === uid ? known.since : Date.now();
        running.set(key, { uid, since });
        const waitMs = since + left - Date.now();
        if (waitMs > 0) {
          queue.addAfter(key, waitMs);
          return;
        }
        recorder.event(reference(pod), 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
        const api = client.resource(pods);
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByTaintManager',
          message: 'Taint manager: deleting due to NoExecute taint',
          lastTransitionTime: formatTime(),
        };
        try {
          await api.patch(
            splitKey(key),
            { metadata: { uid }, status: { conditions: [condition] } },
            { type: 'strategic', subresource: 'status' },
          );
          await api.delete(splitKey(key), { preconditions: { uid } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
        running.delete(key);
      },
    });
  },
};

const reference = ({ metadata }: Pod) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: metadata?.name ?? '',
  namespace: metadata?.namespace ?? '',
  uid: metadata?.uid ?? '',
});
