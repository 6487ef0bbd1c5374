/** The volume claims of a StatefulSet's pods: made before the pod, kept or deleted with it as the set's policy says. */
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '../../../../machinery/api/types.ts';
import { isAlreadyExists, isNotFound } from '../../../../machinery/client/errors.ts';
import { persistentVolumeClaims } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../../machinery/events/recorder.ts';
import type { Informer } from '../../../../machinery/informer/types.ts';
import { messageOf } from '../../framework/failures.ts';
import { claimsOf, firstOrdinal, ordinalOf } from './identity.ts';

const ownerOf = (owner: StatefulSet | Pod, apiVersion: string, kind: string): OwnerReference => ({
  apiVersion,
  kind,
  name: owner.metadata?.name ?? '',
  uid: owner.metadata?.uid ?? '',
  controller: true,
  blockOwnerDeletion: true,
});

/** Who should own the claims of a pod: with Delete they go with the set, or with a pod that was scaled away. */
export function claimOwners(set: StatefulSet, pod: Pod): OwnerReference[] {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const ordinal = ordinalOf(set, pod);
  const start = firstOrdinal(set);
  const condemned = ordinal < start || ordinal >= start + (set.spec?.replicas ?? 1);
  if (whenScaled === 'Delete' && condemned) return [ownerOf(pod, 'v1', 'Pod')];
  return whenDeleted === 'Delete' ? [ownerOf(set, 'apps/v1', 'StatefulSet')] : [];
}

/** The claim with the owners it should have; undefined when it has them. Owners that are neither set nor pod stay. */
export function withOwners(
  claim: PersistentVolumeClaim,
  set: StatefulSet,
  pod: Pod,
): PersistentVolumeClaim | undefined {
  const wanted = claimOwners(set, pod);
  const old = claim.metadata?.ownerReferences ?? [];
  const isOurs = ({ kind, name }: OwnerReference): boolean =>
    (kind === 'StatefulSet' && name === set.metadata?.name) || (kind === 'Pod' && name === pod.metadata?.name);
  const uids = (references: OwnerReference[]) =>
    references
      .map(({ uid }) => uid)
      .sort()
      .join();
  if (uids(old.filter(isOurs)) === uids(wanted)) return undefined;
  return {
    ...claim,
    metadata: { ...claim.metadata, ownerReferences: [...old.filter((each) => !isOurs(each)), ...wanted] },
  };
}

export class PodClaims {
  readonly #client: Client;
  readonly #informer: Informer<PersistentVolumeClaim>;
  readonly #recorder: EventRecorder;

  constructor(client: Client, informer: Informer<PersistentVolumeClaim>, recorder: EventRecorder) {
    this.#client = client;
    this.#informer = informer;
    this.#recorder = recorder;
  }

  async createMissing(set: StatefulSet, ordinal: number, pod: string): Promise<void> {
    for (const claim of claimsOf(set, ordinal).values()) {
      const name = claim.metadata?.name ?? '';
      const found = this.#informer.store.get(`${set.metadata?.namespace}/${name}`);
      if (found?.metadata?.deletionTimestamp) throw new Error(`pvc ${name} is being deleted`);
      if (found) continue;
      const whenDeleted = set.spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted;
      const owners = whenDeleted === 'Delete' ? [ownerOf(set, 'apps/v1', 'StatefulSet')] : [];
      const metadata = { ...claim.metadata, ...(owners.length ? { ownerReferences: owners } : {}) };
      const about = referenceTo(set, 'apps/v1', 'StatefulSet');
      const what = `create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata?.name}`;
      try {
        await this.#client.resource(persistentVolumeClaims).create({ ...claim, metadata });
        this.#recorder.event(about, 'Normal', 'SuccessfulCreate', `${what} success`);
      } catch (error) {
        if (isAlreadyExists(error)) continue;
        this.#recorder.event(about, 'Warning', 'FailedCreate', `${what} failed error: ${messageOf(error)}`);
        throw new Error(`failed to create PVC ${name}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  /** Brings the owners of a pod's claims in line with the retention policy. */
  async syncOwners(set: StatefulSet, pod: Pod): Promise<void> {
    for (const { metadata } of claimsOf(set, ordinalOf(set, pod)).values()) {
      const claim = this.#informer.store.get(`${set.metadata?.namespace}/${metadata?.name}`);
      const changed = claim && withOwners(claim, set, pod);
      if (!changed) continue;
      try {
        await this.#client.resource(persistentVolumeClaims).update(changed);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
}
