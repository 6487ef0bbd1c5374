/** Recounts what namespaces use of their ResourceQuotas: when a quota changes, when something it counts goes, and now and then. */
import { formatResourceList, parseResourceList } from '../../../machinery/api/quantity.ts';
import { countedResources, inScope, type QuotaResource, sumUsage, usageOf } from '../../../machinery/api/quota.ts';
import type { KubeObject, ResourceQuota } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { pods, resourceQuotas } from '../../../machinery/client/resources.ts';
import { createInformerFactory } from '../../../machinery/informer/factory.ts';
import { keyOf } from '../../../machinery/informer/store.ts';
import type { Informer } from '../../../machinery/informer/types.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { type DiscoveredResource, DiscoveryReader } from '../framework/discovery.ts';
import { runReconciler } from '../framework/reconciler.ts';

/** Deletions often come many at a time: they are counted together. */
const settleMs = 500;

export const resourceQuotaController: Controller = {
  name: 'resourcequota-controller',
  serviceAccount: 'resourcequota-controller',
  async run(context) {
    const { client, informers, options } = context;
    const quotas = informers.informer(resourceQuotas, { resyncMs: options.resourceQuotaSyncPeriod });
    const podInformer = informers.informer(pods);
    const queue = createWorkQueue<string>();
    const addOfNamespace = (namespace: string | undefined) => {
      for (const quota of quotas.store.list())
        if (quota.metadata?.namespace === namespace) queue.addAfter(keyOf(quota), settleMs);
    };
    const add = (quota: ResourceQuota) => queue.add(keyOf(quota));
    quotas.addHandler({
      onAdd: add,
      onUpdate: (old, quota) => {
        if (old === quota || JSON.stringify(old.spec) !== JSON.stringify(quota.spec)) add(quota);
      },
    });
    const isOver = (phase: string | undefined) => phase === 'Succeeded' || phase === 'Failed';
    podInformer.addHandler({
      onDelete: ({ metadata }) => addOfNamespace(metadata?.namespace),
      onUpdate: (old, pod) => {
        if (isOver(pod.status?.phase) && !isOver(old.status?.phase)) addOfNamespace(pod.metadata?.namespace);
      },
    });
    const counted = countedObjects(context, addOfNamespace);
    await runReconciler(context, {
      queue,
      sources: [quotas, podInformer],
      workers: 2,
      async reconcile(key) {
        const quota = quotas.store.get(key);
        if (!quota || quota.metadata?.deletionTimestamp) return;
        const hard = quota.spec?.hard ?? {};
        const names = Object.keys(hard);
        const usages = [];
        for (const type of countedResources(names))
          for (const object of await counted(type, quota.metadata?.namespace ?? ''))
            if (inScope(quota, type, object)) usages.push(usageOf(type, object));
        const used = formatResourceList(sumUsage(names, usages));
        if (sameList(quota.status?.hard, hard) && sameList(quota.status?.used, used)) return;
        try {
          await client.resource(resourceQuotas).updateStatus({ ...quota, status: { hard, used } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};

/** Lists that mean the same, however their quantities are written. */
function sameList(a: Record<string, string> | undefined, b: Record<string, string>): boolean {
  const normal = (list: Record<string, string>) =>
    JSON.stringify(Object.entries(formatResourceList(parseResourceList(list))).sort());
  return a !== undefined && normal(a) === normal(b);
}

/** Answers the objects of a resource in a namespace; a resource is followed from the first quota that names it on. */
function countedObjects(context: ControllerContext, onChange: (namespace: string | undefined) => void) {
  const { client, informers, signal, logger } = context;
  const discovery = new DiscoveryReader(client);
  const own = createInformerFactory(client, (message) => logger.debug(message));
  const followed = new Map<string, Informer<KubeObject>>();

  const follow = (type: DiscoveredResource): Informer<KubeObject> => {
    const shared = informers.existing(type);
    // Of these the specification counts, of all others only that they exist.
    const needsSpec = type.group === '' && ['services', 'persistentvolumeclaims'].includes(type.resource);
    const informer = shared ?? own.informer<KubeObject>(needsSpec ? type : { ...type, metadataOnly: true });
    own.start(signal);
    const changed = ({ metadata }: KubeObject) => onChange(metadata?.namespace);
    informer.addHandler({
      onDelete: changed,
      ...(needsSpec ? { onUpdate: (_old: KubeObject, object: KubeObject) => changed(object) } : {}),
    });
    return informer;
  };

  return async ({ group, resource }: QuotaResource, namespace: string): Promise<KubeObject[]> => {
    const key = `${group}/${resource}`;
    let informer = followed.get(key);
    if (!informer) {
      const { resources } = await discovery.read(signal);
      const type = resources.find((found) => found.group === group && found.resource === resource);
      if (!type?.verbs.includes('watch')) return [];
      informer = follow(type);
      followed.set(key, informer);
    }
    await informer.synced(signal);
    return informer.store.list().filter(({ metadata }) => metadata?.namespace === namespace);
  };
}
