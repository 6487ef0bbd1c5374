/** Ends namespaces that are being deleted: phase Terminating, content gone, then the finalizer `kubernetes` taken off. */
import type { Namespace } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { namespaces, pods } from '../../../../machinery/client/resources.ts';
import type { ResourceClient } from '../../../../machinery/client/types.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { DiscoveryReader } from '../../framework/discovery.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { withDeletionConditions } from './conditions.ts';
import { deleteContent } from './content.ts';

/** Other API servers must have seen the deletion before the content goes, or they would accept new content. */
const deletionGraceMs = 5_000;

export const namespaceController: Controller = {
  name: 'namespace-controller',
  serviceAccount: 'namespace-controller',
  async run(context) {
    const { client, options } = context;
    const informer = context.informers.informer(namespaces);
    const podInformer = context.informers.informer(pods);
    const api = client.resource(namespaces);
    const discovery = new DiscoveryReader(client);
    const queue = createWorkQueue<string>({ baseDelayMs: 500, maxDelayMs: 60_000 });
    const begun = new Set<string>();
    const isEnding = (name: string) => Boolean(informer.store.get(name)?.metadata?.deletionTimestamp);
    const add = ({ metadata }: Namespace) => {
      if (metadata?.deletionTimestamp && metadata.name) queue.addAfter(metadata.name, deletionGraceMs);
    };
    informer.addHandler({
      onAdd: add,
      onUpdate: (_old, namespace) => add(namespace),
      onDelete: ({ metadata }) => begun.delete(metadata?.name ?? ''),
    });
    podInformer.addHandler({
      // Not before the first attempt: the grace time of the namespace counts.
      onDelete: ({ metadata }) => {
        const name = metadata?.namespace ?? '';
        if (begun.has(name) && isEnding(name)) queue.addAfter(name, 200);
      },
    });
    await runReconciler(context, {
      queue,
      sources: [informer],
      workers: Math.min(options.concurrentNamespaceSyncs, 4),
      async reconcile(name) {
        let namespace = await api.find({ name });
        if (!namespace?.metadata?.deletionTimestamp) return;
        if (namespace.status?.phase !== 'Terminating')
          namespace = await api.updateStatus({ ...namespace, status: { ...namespace.status, phase: 'Terminating' } });
        if (!namespace.spec?.finalizers?.length) return;
        begun.add(name);
        const outcome = await deleteContent(client, name, await discovery.read(context.signal));
        namespace = await updated(api, namespace, outcome);
        if (outcome.deletionErrors.length || outcome.discoveryFailures.length)
          throw new Error(
            `deletion of namespace ${name} failed: ${[...outcome.deletionErrors, ...outcome.discoveryFailures].join(', ')}`,
          );
        if (outcome.estimateSeconds > 0) {
          queue.addAfter(name, (outcome.estimateSeconds / 2 + 1) * 1000);
          return;
        }
        await finalize(api, namespace);
      },
    });
  },
};

async function updated(
  api: ResourceClient<Namespace>,
  namespace: Namespace,
  outcome: Parameters<typeof withDeletionConditions>[1],
): Promise<Namespace> {
  const next = withDeletionConditions(namespace, outcome);
  if (!next) return namespace;
  try {
    return await api.updateStatus(next);
  } catch (error) {
    if (!isConflict(error)) throw error;
    const live = await api.get({ name: namespace.metadata?.name ?? '' });
    return api.updateStatus(withDeletionConditions(live, outcome) ?? live);
  }
}

async function finalize(api: ResourceClient<Namespace>, namespace: Namespace): Promise<void> {
  const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== 'kubernetes');
  try {
    await api.update({ ...namespace, spec: { ...namespace.spec, finalizers } }, { subresource: 'finalize' });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
