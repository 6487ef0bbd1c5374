/** Every active namespace has the ServiceAccount `default`. */
import { isAlreadyExists, isForbidden, isNotFound } from '../../../machinery/client/errors.ts';
import { namespaces, serviceAccounts } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';

export const serviceAccountController: Controller = {
  name: 'serviceaccount-controller',
  serviceAccount: 'service-account-controller',
  async run(context) {
    const namespaceInformer = context.informers.informer(namespaces);
    const accountInformer = context.informers.informer(serviceAccounts);
    const accounts = context.client.resource(serviceAccounts);
    const queue = createWorkQueue<string>();
    const add = (name: string | undefined) => name && queue.add(name);
    namespaceInformer.addHandler({
      onAdd: ({ metadata }) => add(metadata?.name),
      onUpdate: (_old, { metadata }) => add(metadata?.name),
    });
    accountInformer.addHandler({
      onDelete: ({ metadata }) => metadata?.name === 'default' && add(metadata.namespace),
    });
    await runReconciler(context, {
      queue,
      sources: [namespaceInformer, accountInformer],
      async reconcile(namespace) {
        if (namespaceInformer.store.get(namespace)?.status?.phase === 'Terminating') return;
        if (!namespaceInformer.store.get(namespace) || accountInformer.store.get(`${namespace}/default`)) return;
        try {
          await accounts.create({ metadata: { name: 'default', namespace } });
        } catch (error) {
          // Made meanwhile, or the namespace has ended meanwhile.
          if (isAlreadyExists(error) || isNotFound(error) || isTerminating(error)) return;
          throw error;
        }
      },
    });
  },
};

export const isTerminating = (error: unknown): boolean =>
  isForbidden(error) && /because it is being terminated/.test((error as Error).message);
