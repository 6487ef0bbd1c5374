/** Tells kubelets by an annotation how long they may keep secrets and config maps: longer, the larger the cluster. */

import type { Node } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { nodes } from '../../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';

const annotation = 'node.alpha.kubernetes.io/ttl';

/** Overlapping sizes, so that a cluster at a boundary does not change for every node that comes and goes. */
const steps = [
  { from: 0, to: 100, seconds: 0 },
  { from: 90, to: 500, seconds: 15 },
  { from: 450, to: 1000, seconds: 30 },
  { from: 900, to: 2000, seconds: 60 },
  { from: 1800, to: Number.POSITIVE_INFINITY, seconds: 300 },
];

/** The step for a cluster of `count` nodes that was at step `current`. */
export function ttlStep(count: number, current: number): number {
  let step = current;
  while (count > (steps[step]?.to ?? 0)) step += 1;
  while (count < (steps[step]?.from ?? 0)) step -= 1;
  return step;
}

export const nodeTtl: Controller = {
  name: 'ttl-controller',
  serviceAccount: 'ttl-controller',
  async run(context) {
    const informer = context.informers.informer(nodes);
    const queue = createWorkQueue<string>();
    let step = 0;
    const wanted = () => String(steps[step]?.seconds ?? 0);
    const add = (node: Node) => {
      if (node.metadata?.annotations?.[annotation] !== wanted()) queue.add(node.metadata?.name ?? '');
    };
    const resize = () => {
      const next = ttlStep(informer.store.keys().length, step);
      if (next === step) return;
      step = next;
      for (const node of informer.store.list()) add(node);
    };
    informer.addHandler({
      onAdd: (node) => {
        resize();
        add(node);
      },
      onUpdate: (_old, node) => add(node),
      onDelete: resize,
    });
    await runReconciler(context, {
      queue,
      sources: [informer],
      async reconcile(name) {
        const node = informer.store.get(name);
        if (!node || node.metadata?.annotations?.[annotation] === wanted()) return;
        try {
          await context.client
            .resource(nodes)
            .patch({ name }, { metadata: { annotations: { [annotation]: wanted() } } }, { type: 'strategic' });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};
