/** Binds claims to volumes that exist, and keeps the phases of both. Volumes are made and removed by their provisioners. */
import { storageClassOf } from '../../../../machinery/api/persistent-volumes.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
} from '../../../../machinery/client/resources.ts';
import { keyOf } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { ClaimSync } from './claim-sync.ts';
import { claimKeysOf } from './protection.ts';
import { VolumeSync } from './volume-sync.ts';

const component = 'persistentvolume-controller';
/** Everything unbound is looked at again now and then, so that whoever waits is told why. */
const resyncMs = 15_000;

export const volumeBinder: Controller = {
  name: 'persistentvolume-binder-controller',
  serviceAccount: 'persistent-volume-binder',
  async run(context) {
    const claims = context.informers.informer(persistentVolumeClaims);
    const volumes = context.informers.informer(persistentVolumes);
    const classes = context.informers.informer(storageClasses);
    const podInformer = context.informers.informer(pods);
    podInformer.addIndex('claim', claimKeysOf);
    const queue = createWorkQueue<string>({ baseDelayMs: 100, maxDelayMs: 60_000 });
    const addClaim = (claim: PersistentVolumeClaim) => queue.add(`claim:${keyOf(claim)}`);
    const addVolume = (volume: PersistentVolume) => queue.add(`volume:${keyOf(volume)}`);
    const addPending = () => {
      for (const claim of claims.store.list()) if (claim.status?.phase !== 'Bound') addClaim(claim);
    };
    const addOwner = ({ spec }: PersistentVolume) => {
      if (spec?.claimRef) queue.add(`claim:${spec.claimRef.namespace}/${spec.claimRef.name}`);
    };
    claims.addHandler({
      onAdd: addClaim,
      onUpdate: (_old, claim) => addClaim(claim),
      onDelete: ({ spec }) => spec?.volumeName && queue.add(`volume:${spec.volumeName}`),
    });
    volumes.addHandler({
      onAdd: (volume) => {
        addVolume(volume);
        addPending();
      },
      onUpdate: (_old, volume) => {
        addVolume(volume);
        addOwner(volume);
        if (volume.status?.phase === 'Available') addPending();
      },
      onDelete: addOwner,
    });
    classes.addHandler({ onAdd: addPending, onUpdate: addPending });
    const recorder = context.recorder(component);
    const claimSync = new ClaimSync(context.client, recorder, {
      classes: () => classes.store.list(),
      volumes: () => volumes.store.list(),
      podsOf: (claim) => podInformer.store.byIndex('claim', keyOf(claim)),
    });
    const volumeSync = new VolumeSync(context.client, recorder);
    const resync = setInterval(addPending, resyncMs);
    try {
      await runReconciler(context, {
        queue,
        sources: [claims, volumes, classes, podInformer],
        async reconcile(key) {
          const name = key.slice(key.indexOf(':') + 1);
          if (key.startsWith('claim:')) {
            const claim = claims.store.get(name);
            if (claim && !claim.metadata?.deletionTimestamp)
              await claimSync.sync(claim, classes.store.get(storageClassOf(claim)));
            return;
          }
          const volume = volumes.store.get(name);
          if (volume) await volumeSync.sync(volume, claims.store.get(ownerKeyOf(volume)));
        },
      });
    } finally {
      clearInterval(resync);
    }
  },
};

const ownerKeyOf = ({ spec }: PersistentVolume) => `${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`;
