/** Makes the claims of pods' ephemeral volumes, owned by the pods. */
import type { PersistentVolumeClaim, Pod, Volume } from '../../../../machinery/api/types.ts';
import { isAlreadyExists } from '../../../../machinery/client/errors.ts';
import { persistentVolumeClaims, pods } from '../../../../machinery/client/resources.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { keyOf } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { claimKeysOf } from './protection.ts';

export function ephemeralClaim(pod: Pod, { name, ephemeral }: Volume): PersistentVolumeClaim {
  const template = ephemeral?.volumeClaimTemplate;
  const { annotations, labels } = template?.metadata ?? {};
  return {
    metadata: {
      namespace: pod.metadata?.namespace ?? '',
      name: `${pod.metadata?.name}-${name}`,
      ...(annotations ? { annotations } : {}),
      ...(labels ? { labels } : {}),
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Pod',
          name: pod.metadata?.name ?? '',
          uid: pod.metadata?.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    ...(template?.spec ? { spec: template.spec } : {}),
  };
}

export const ephemeralVolumes: Controller = {
  name: 'ephemeral-volume-controller',
  serviceAccount: 'ephemeral-volume-controller',
  async run(context) {
    const podInformer = context.informers.informer(pods);
    const claims = context.informers.informer(persistentVolumeClaims);
    podInformer.addIndex('claim', claimKeysOf);
    const api = context.client.resource(persistentVolumeClaims);
    const recorder = context.recorder('ephemeral_volume');
    const queue = createWorkQueue<string>();
    podInformer.addHandler({
      onAdd: (pod) => {
        if (pod.spec?.volumes?.some(({ ephemeral }) => ephemeral)) queue.add(keyOf(pod));
      },
    });
    claims.addHandler({
      onDelete: (claim) => {
        for (const pod of podInformer.store.byIndex('claim', keyOf(claim))) queue.add(keyOf(pod));
      },
    });
    const ensure = async (pod: Pod, volume: Volume) => {
      const wanted = ephemeralClaim(pod, volume);
      const found = claims.store.get(keyOf(wanted));
      if (found) {
        if (found.metadata?.ownerReferences?.some(({ uid }) => uid === pod.metadata?.uid)) return;
        throw new Error(
          `PVC ${keyOf(wanted)} was not created for pod ${keyOf(pod)} (pod is not owner): it keeps volume "${volume.name}" from its claim`,
        );
      }
      try {
        await api.create(wanted);
      } catch (error) {
        // The cache was behind.
        if (isAlreadyExists(error)) throw error;
        const message = `ephemeral volume ${volume.name}: create PVC ${wanted.metadata?.name}: ${(error as Error).message}`;
        recorder.event(referenceTo(pod, 'v1', 'Pod'), 'Warning', 'VolumeFailed', message);
        throw error;
      }
    };
    await runReconciler(context, {
      queue,
      sources: [podInformer, claims],
      async reconcile(key) {
        const pod = podInformer.store.get(key);
        if (!pod || pod.metadata?.deletionTimestamp) return;
        for (const volume of pod.spec?.volumes ?? []) if (volume.ephemeral) await ensure(pod, volume);
      },
    });
  },
};
