/** One claim towards its volume: found, bound, lost; or pending, with an event that says what it waits for. */

import {
  bestVolume,
  capacityOf,
  defaultClassOf,
  isReserved,
  mismatch,
  storageClassOf,
} from '../../../../machinery/api/persistent-volumes.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../../../../machinery/api/types.ts';
import {
  annotated,
  betaStorageClass,
  betaStorageProvisioner,
  bindCompleted,
  boundByController,
  selectedNode,
  storageProvisioner,
} from '../../../../machinery/api/volume-annotations.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../../machinery/events/recorder.ts';

/** What is known of the cluster, from caches. */
export interface ClaimSurroundings {
  classes(): StorageClass[];
  volumes(): PersistentVolume[];
  /** Pods that use the claim. */
  podsOf(claim: PersistentVolumeClaim): Pod[];
}

const isWaiting = (claim: PersistentVolumeClaim, storageClass: StorageClass | undefined) =>
  storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && !claim.metadata?.annotations?.[selectedNode];

type Told = [type: 'Normal' | 'Warning', reason: string, message: string];

/** None of upstream's own provisioners is here, and no-provisioner says by its name that none will come. */
const isOfUpstream = (provisioner: string) => provisioner.startsWith('kubernetes.io/');

export class ClaimSync {
  readonly #claims;
  readonly #volumes;
  readonly #recorder: EventRecorder;
  readonly #known: ClaimSurroundings;

  constructor(client: Client, recorder: EventRecorder, known: ClaimSurroundings) {
    this.#claims = client.resource(persistentVolumeClaims);
    this.#volumes = client.resource(persistentVolumes);
    this.#recorder = recorder;
    this.#known = known;
  }

  async sync(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): Promise<void> {
    if (claim.metadata?.annotations?.[bindCompleted]) return this.#keep(claim);
    const { volumeName } = claim.spec ?? {};
    if (volumeName) return this.#toNamed(claim, volumeName);
    const volume = bestVolume(claim, this.#known.volumes(), { onlyReserved: isWaiting(claim, storageClass) });
    if (volume) return this.#bind(claim, volume);
    if (await this.#giveDefaultClass(claim)) return;
    if (await this.#nameProvisioner(claim, storageClass)) return;
    this.#tell(claim, ...this.#reasonToWait(claim, storageClass));
    await this.#setPending(claim);
  }

  /** A claim that was bound stays so, or has lost its volume. */
  async #keep(claim: PersistentVolumeClaim): Promise<void> {
    const { volumeName } = claim.spec ?? {};
    if (!volumeName)
      return this.#lose(
        claim,
        'ClaimLost',
        'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
      );
    const volume = this.#named(volumeName);
    if (!volume)
      return this.#lose(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
    if (volume.spec?.claimRef && !isReserved(volume, claim))
      return this.#lose(
        claim,
        'ClaimMisbound',
        'Two claims are bound to the same volume, this one is bound incorrectly',
      );
    return this.#bind(claim, volume);
  }

  /** The user asked for this very volume. */
  async #toNamed(claim: PersistentVolumeClaim, volumeName: string): Promise<void> {
    const volume = this.#named(volumeName);
    if (!volume) return this.#setPending(claim);
    if (volume.spec?.claimRef && !isReserved(volume, claim)) {
      this.#tell(claim, 'Warning', 'FailedBinding', `volume "${volumeName}" already bound to a different claim.`);
      return this.#setPending(claim);
    }
    const why = mismatch(volume, claim);
    if (!why) return this.#bind(claim, volume);
    this.#tell(claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${volumeName}": ${why}`);
    return this.#setPending(claim);
  }

  #named(volumeName: string): PersistentVolume | undefined {
    return this.#known.volumes().find(({ metadata }) => metadata?.name === volumeName);
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
    if (volume.status?.phase !== 'Bound')
      await this.#volumes.updateStatus({ ...volume, status: { ...volume.status, phase: 'Bound' } });
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

  /** Claims made before there was a default class get it later. Answers whether one was given. */
  async #giveDefaultClass(claim: PersistentVolumeClaim): Promise<boolean> {
    const asked = claim.spec?.storageClassName ?? claim.metadata?.annotations?.[betaStorageClass];
    if (asked !== undefined && asked !== null) return false;
    const storageClassName = defaultClassOf(this.#known.classes())?.metadata?.name;
    if (!storageClassName) return false;
    await this.#claims.update({ ...claim, spec: { ...claim.spec, storageClassName } });
    return true;
  }

  /** Tells the provisioner that it is its turn. Answers whether that was news; the next sync goes on. */
  async #nameProvisioner(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): Promise<boolean> {
    const { provisioner } = storageClass ?? {};
    if (!provisioner || isOfUpstream(provisioner) || isWaiting(claim, storageClass)) return false;
    if (claim.metadata?.annotations?.[storageProvisioner] === provisioner) return false;
    const names = { [storageProvisioner]: provisioner, [betaStorageProvisioner]: provisioner };
    await this.#claims.update({ ...claim, metadata: annotated(claim.metadata, names) });
    return true;
  }

  /** Why there is no volume yet. */
  #reasonToWait(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): Told {
    const className = storageClassOf(claim);
    if (isWaiting(claim, storageClass)) return this.#whatConsumer(claim);
    if (!className)
      return ['Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set'];
    if (!storageClass) return ['Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`];
    const { provisioner } = storageClass;
    if (isOfUpstream(provisioner))
      return ['Warning', 'ProvisioningFailed', `no volume plugin matched name: ${provisioner}`];
    return [
      'Normal',
      'ExternalProvisioning',
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
    ];
  }

  #whatConsumer(claim: PersistentVolumeClaim): Told {
    const names = this.#known
      .podsOf(claim)
      .filter(({ spec }) => !spec?.nodeName)
      .map(({ metadata }) => metadata?.name ?? '');
    if (names.length === 0)
      return ['Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding'];
    const pods = names.length === 1 ? `pod ${names[0]}` : `pods ${names.join(',')}`;
    return ['Normal', 'WaitForPodScheduled', `waiting for ${pods} to be scheduled`];
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

  #tell(claim: PersistentVolumeClaim, ...[type, reason, message]: Told): void {
    this.#recorder.event(referenceTo(claim, 'v1', 'PersistentVolumeClaim'), type, reason, message);
  }
}
