/** Claims that pods use and volumes that claims have are kept until they are no longer used, by finalizers. */
import { claimNamesOf } from '../../../../machinery/api/persistent-volumes.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { persistentVolumeClaims, persistentVolumes, pods } from '../../../../machinery/client/resources.ts';
import { keyOf, splitKey } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';

const claimFinalizer = 'kubernetes.io/pvc-protection';
const volumeFinalizer = 'kubernetes.io/pv-protection';

/** Keys of the claims that a pod uses: the values of the index `claim`. */
export const claimKeysOf = (pod: Pod): string[] =>
  claimNamesOf(pod).map((name) => `${pod.metadata?.namespace}/${name}`);

/** A pod that never ran, or has ended, does not use its volumes. */
const usesVolumes = ({ spec, status }: Pod) =>
  Boolean(spec?.nodeName) && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

/** The finalizers the object should have: with `finalizer` when alive, without it when it may go; undefined when so already. */
export function protectedFinalizers(
  { metadata }: PersistentVolumeClaim | PersistentVolume,
  finalizer: string,
  inUse: boolean,
): string[] | undefined {
  const finalizers = metadata?.finalizers ?? [];
  const has = finalizers.includes(finalizer);
  if (!metadata?.deletionTimestamp) return has ? undefined : [...finalizers, finalizer];
  return has && !inUse ? finalizers.filter((other) => other !== finalizer) : undefined;
}

export const claimProtection: Controller = {
  name: 'persistentvolumeclaim-protection-controller',
  serviceAccount: 'pvc-protection-controller',
  async run(context) {
    const claims = context.informers.informer(persistentVolumeClaims);
    const podInformer = context.informers.informer(pods);
    podInformer.addIndex('claim', claimKeysOf);
    const api = context.client.resource(persistentVolumeClaims);
    const queue = createWorkQueue<string>();
    const add = (claim: PersistentVolumeClaim) => {
      if (protectedFinalizers(claim, claimFinalizer, false)) queue.add(keyOf(claim));
    };
    const addClaimsOf = (pod: Pod) => {
      for (const key of claimKeysOf(pod)) queue.add(key);
    };
    claims.addHandler({ onAdd: add, onUpdate: (_old, claim) => add(claim) });
    podInformer.addHandler({
      onUpdate: (old, pod) => {
        if (usesVolumes(old) && !usesVolumes(pod)) addClaimsOf(pod);
      },
      onDelete: addClaimsOf,
    });
    await runReconciler(context, {
      queue,
      sources: [claims, podInformer],
      async reconcile(key) {
        const claim = claims.store.get(key);
        if (!claim) return;
        const { namespace } = splitKey(key);
        let inUse = podInformer.store.byIndex('claim', key).some(usesVolumes);
        // The cache may not know the newest pod; before the data goes, the live list is asked.
        if (!inUse && claim.metadata?.deletionTimestamp) {
          const { items } = await context.client.resource(pods).list({ namespace });
          inUse = items.some((pod) => usesVolumes(pod) && claimNamesOf(pod).includes(claim.metadata?.name ?? ''));
        }
        const finalizers = protectedFinalizers(claim, claimFinalizer, inUse);
        if (!finalizers) return;
        try {
          await api.update({ ...claim, metadata: { ...claim.metadata, finalizers } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};

export const volumeProtection: Controller = {
  name: 'persistentvolume-protection-controller',
  serviceAccount: 'pv-protection-controller',
  async run(context) {
    const volumes = context.informers.informer(persistentVolumes);
    const api = context.client.resource(persistentVolumes);
    const queue = createWorkQueue<string>();
    const isBound = ({ status }: PersistentVolume) => status?.phase === 'Bound';
    const add = (volume: PersistentVolume) => {
      if (protectedFinalizers(volume, volumeFinalizer, isBound(volume))) queue.add(keyOf(volume));
    };
    volumes.addHandler({ onAdd: add, onUpdate: (_old, volume) => add(volume) });
    await runReconciler(context, {
      queue,
      sources: [volumes],
      async reconcile(name) {
        const volume = volumes.store.get(name);
        const finalizers = volume && protectedFinalizers(volume, volumeFinalizer, isBound(volume));
        if (!volume || !finalizers) return;
        try {
          await api.update({ ...volume, metadata: { ...volume.metadata, finalizers } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};
