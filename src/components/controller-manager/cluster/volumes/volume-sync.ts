/** One volume: available, bound, released by its claim, and what becomes of it then. */
import type { PersistentVolume, PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import { boundByController, provisionedBy, withoutAnnotation } from '../../../../machinery/api/volume-annotations.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../../machinery/events/recorder.ts';

/** Why the binder itself cannot do what the reclaim policy says; undefined when it need not. */
export function reclaimProblem({ metadata, spec }: PersistentVolume): [reason: string, message: string] | undefined {
  const policy = spec?.persistentVolumeReclaimPolicy ?? 'Retain';
  if (policy === 'Retain') return undefined;
  if (policy === 'Recycle') return ['VolumeFailedRecycle', 'No recycler plugin found for the volume!'];
  const provisioner = metadata?.annotations?.[provisionedBy];
  // Whoever made it sees its phase, and removes it.
  if (provisioner && !provisioner.startsWith('kubernetes.io/')) return undefined;
  return [
    'VolumeFailedDelete',
    `error getting deleter volume plugin for volume "${metadata?.name}": no deletable volume plugin matched`,
  ];
}

export class VolumeSync {
  readonly #claims;
  readonly #volumes;
  readonly #recorder: EventRecorder;

  constructor(client: Client, recorder: EventRecorder) {
    this.#claims = client.resource(persistentVolumeClaims);
    this.#volumes = client.resource(persistentVolumes);
    this.#recorder = recorder;
  }

  /** @param claim what the cache has under the name in the volume's claimRef */
  async sync(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): Promise<void> {
    const reference = volume.spec?.claimRef;
    if (!reference?.uid) return this.#setPhase(volume, 'Available');
    let owner = claim;
    if (owner?.metadata?.uid !== reference.uid) {
      // The cache may be behind: only a live look tells that the claim is gone.
      owner = await this.#claims.find({ namespace: reference.namespace ?? '', name: reference.name ?? '' });
      if (owner?.metadata?.uid !== reference.uid) return this.#release(volume);
    }
    const elsewhere = owner?.spec?.volumeName;
    // Not yet on the claim's side: its own sync will see to that.
    if (!elsewhere) return;
    if (elsewhere === volume.metadata?.name) return this.#setPhase(volume, 'Bound');
    const { annotations } = volume.metadata ?? {};
    // Made for this claim, which got another one meanwhile.
    if (annotations?.[provisionedBy] && volume.spec?.persistentVolumeReclaimPolicy === 'Delete')
      return this.#release(volume);
    return this.#unbind(volume);
  }

  async #release(volume: PersistentVolume): Promise<void> {
    const phase = volume.status?.phase;
    if (phase !== 'Released' && phase !== 'Failed') return this.#setPhase(volume, 'Released');
    if (phase === 'Failed') return;
    const problem = reclaimProblem(volume);
    if (!problem) return;
    const [reason, message] = problem;
    this.#recorder.event(referenceTo(volume, 'v1', 'PersistentVolume'), 'Warning', reason, message);
    await this.#volumes.updateStatus({ ...volume, status: { ...volume.status, phase: 'Failed', message } });
  }

  /** The claim has another volume: what the binder wrote goes whole, of what the user wrote only the uid. */
  async #unbind(volume: PersistentVolume): Promise<void> {
    const { claimRef, ...spec } = volume.spec ?? {};
    if (volume.metadata?.annotations?.[boundByController]) {
      const metadata = withoutAnnotation(volume.metadata, boundByController);
      await this.#volumes.update({ ...volume, metadata, spec });
      return;
    }
    const { uid: _uid, resourceVersion: _version, ...named } = claimRef ?? {};
    await this.#volumes.update({ ...volume, spec: { ...spec, claimRef: named } });
  }

  async #setPhase(volume: PersistentVolume, phase: string): Promise<void> {
    if (volume.status?.phase === phase) return;
    try {
      await this.#volumes.updateStatus({ ...volume, status: { ...volume.status, phase } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
