/** Binds claims to volumes that exist, and keeps the phases of both. Volumes are made and removed by their provisioners. */
import type { ObjectMeta, PersistentVolume, PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { persistentVolumeClaims, persistentVolumes, storageClasses } from '../../../../machinery/client/resources.ts';
import type { EventRecorder } from '../../../../machinery/events/recorder.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { keyOf } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { bestVolume, capacityOf, isReserved, mismatch, storageClassOf } from './matching.ts';

const bindCompleted = 'pv.kubernetes.io/bind-completed';
const boundByController = 'pv.kubernetes.io/bound-by-controller';
const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionerAnnotation = 'volume.kubernetes.io/storage-provisioner';

export const volumeBinder: Controller = {
  name: 'persistentvolume-binder-controller',
  serviceAccount: 'persistent-volume-binder',
  async run(context) {
    const claims = context.informers.informer(persistentVolumeClaims);
    const volumes = context.informers.informer(persistentVolumes);
    const classes = context.informers.informer(storageClasses);
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
    const binder = new Binder(context, context.recorder('persistentvolume-controller'));
    await runReconciler(context, {
      queue,
      sources: [claims, volumes, classes],
      async reconcile(key) {
        const name = key.slice(key.indexOf(':') + 1);
        if (key.startsWith('volume:')) {
          const volume = volumes.store.get(name);
          if (volume) await binder.syncVolume(volume, claims.store.get(claimKey(volume)));
          return;
        }
        const claim = claims.store.get(name);
        if (!claim || claim.metadata?.deletionTimestamp) return;
        const storageClass = classes.store.get(storageClassOf(claim));
        await binder.syncClaim(claim, volumes.store.list(), {
          waits: storageClass?.volumeBindingMode === 'WaitForFirstConsumer',
          provisioner: storageClass?.provisioner,
        });
      },
    });
  },
};

const claimKey = ({ spec }: PersistentVolume) => `${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`;

const annotated = (metadata: ObjectMeta | undefined, annotations: Record<string, string>): ObjectMeta => ({
  ...metadata,
  annotations: { ...metadata?.annotations, ...annotations },
});

interface ClassFacts {
  /** Bound only when a pod was scheduled. */
  waits: boolean;
  provisioner: string | undefined;
}

class Binder {
  readonly #claims;
  readonly #volumes;
  readonly #recorder: EventRecorder;

  constructor({ client }: ControllerContext, recorder: EventRecorder) {
    this.#claims = client.resource(persistentVolumeClaims);
    this.#volumes = client.resource(persistentVolumes);
    this.#recorder = recorder;
  }

  async syncClaim(claim: PersistentVolumeClaim, volumes: PersistentVolume[], facts: ClassFacts): Promise<void> {
    const { volumeName } = claim.spec ?? {};
    const volume = volumeName
      ? volumes.find(({ metadata }) => metadata?.name === volumeName)
      : bestVolume(claim, volumes, facts.waits && !claim.metadata?.annotations?.[selectedNode]);
    if (claim.metadata?.annotations?.[bindCompleted]) {
      if (!volumeName || !volume)
        return this.#lose(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
      if (volume.spec?.claimRef && !isReserved(volume, claim))
        return this.#lose(
          claim,
          'ClaimMisbound',
          'Two claims are bound to the same volume, this one is bound incorrectly',
        );
      return this.#bind(claim, volume);
    }
    if (!volume) return volumeName ? this.#setPending(claim) : this.#explainPending(claim, facts);
    if (volume.spec?.claimRef && !isReserved(volume, claim)) return this.#setPending(claim);
    const why = volumeName ? mismatch(volume, claim) : undefined;
    if (why) {
      this.#tell(claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${volumeName}": ${why}`);
      return this.#setPending(claim);
    }
    return this.#bind(claim, volume);
  }

  async syncVolume(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): Promise<void> {
    const reference = volume.spec?.claimRef;
    if (!reference?.uid) return this.#setVolumePhase(volume, 'Available');
    if (claim?.metadata?.uid === reference.uid) {
      if (claim.spec?.volumeName === volume.metadata?.name) return this.#setVolumePhase(volume, 'Bound');
      return;
    }
    // The cache may be behind: only a live look tells that the claim is gone.
    const live = await this.#claims.find({ namespace: reference.namespace ?? '', name: reference.name ?? '' });
    if (live?.metadata?.uid !== reference.uid) await this.#setVolumePhase(volume, 'Released');
  }

  /** Four writes, each of which may have been done before: the volume's side first, so that nobody else takes it. */
  async #bind(claim: PersistentVolumeClaim, given: PersistentVolume): Promise<void> {
    let volume = given;
    const { namespace = '', name = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
    if (volume.spec?.claimRef?.uid !== uid) {
      const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion };
      const metadata = volume.spec?.claimRef
        ? volume.metadata
        : annotated(volume.metadata, { [boundByController]: 'yes' });
      volume = await this.#volumes.update({
        ...volume,
        ...(metadata ? { metadata } : {}),
        spec: { ...volume.spec, claimRef },
      });
    }
    await this.#setVolumePhase(volume, 'Bound');
    let bound = claim;
    const volumeName = volume.metadata?.name ?? '';
    if (claim.spec?.volumeName !== volumeName || !claim.metadata?.annotations?.[bindCompleted]) {
      const byController: Record<string, string> = claim.spec?.volumeName ? {} : { [boundByController]: 'yes' };
      bound = await this.#claims.update({
        ...claim,
        metadata: annotated(claim.metadata, { [bindCompleted]: 'yes', ...byController }),
        spec: { ...claim.spec, volumeName },
      });
    }
    const capacity = capacityOf(volume);
    const isDone = bound.status?.phase === 'Bound' && bound.status.capacity?.['storage'] !== undefined;
    if (isDone) return;
    await this.#claims.updateStatus({
      ...bound,
      status: {
        ...bound.status,
        phase: 'Bound',
        ...(volume.spec?.accessModes ? { accessModes: volume.spec.accessModes } : {}),
        ...(capacity ? { capacity: { storage: capacity } } : {}),
      },
    });
  }

  async #explainPending(claim: PersistentVolumeClaim, { waits, provisioner }: ClassFacts): Promise<void> {
    if (waits && !claim.metadata?.annotations?.[selectedNode])
      this.#tell(claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
    else if (!storageClassOf(claim))
      this.#tell(
        claim,
        'Normal',
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
      );
    else if (!provisioner)
      this.#tell(
        claim,
        'Warning',
        'ProvisioningFailed',
        `storageclass.storage.k8s.io "${storageClassOf(claim)}" not found`,
      );
    else if (provisioner !== 'kubernetes.io/no-provisioner') {
      this.#tell(
        claim,
        'Normal',
        'ExternalProvisioning',
        `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
      );
      if (claim.metadata?.annotations?.[provisionerAnnotation] !== provisioner) {
        const beta = 'volume.beta.kubernetes.io/storage-provisioner';
        await this.#claims.update({
          ...claim,
          metadata: annotated(claim.metadata, { [provisionerAnnotation]: provisioner, [beta]: provisioner }),
        });
        return;
      }
    }
    await this.#setPending(claim);
  }

  async #setPending(claim: PersistentVolumeClaim): Promise<void> {
    if (claim.status?.phase === 'Pending') return;
    await this.#claims.updateStatus({ ...claim, status: { ...claim.status, phase: 'Pending' } });
  }

  async #lose(claim: PersistentVolumeClaim, reason: string, message: string): Promise<void> {
    if (claim.status?.phase === 'Lost') return;
    await this.#claims.updateStatus({ ...claim, status: { ...claim.status, phase: 'Lost' } });
    this.#tell(claim, 'Warning', reason, message);
  }

  async #setVolumePhase(volume: PersistentVolume, phase: string): Promise<void> {
    if (volume.status?.phase === phase) return;
    try {
      await this.#volumes.updateStatus({ ...volume, status: { ...volume.status, phase } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #tell(claim: PersistentVolumeClaim, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#recorder.event(referenceTo(claim, 'v1', 'PersistentVolumeClaim'), type, reason, message);
  }
}
