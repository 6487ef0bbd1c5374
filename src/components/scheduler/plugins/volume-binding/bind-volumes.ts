/** Writes what was decided about a pod's volumes, and waits until its claims are bound. */
import { isFullyBound, isReserved, isUsableOn } from '../../../../machinery/api/persistent-volumes.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import { annotated, boundByController, selectedNode } from '../../../../machinery/api/volume-annotations.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { pause } from '../../../../machinery/process/pause.ts';
import type { VolumeDecisions } from './node-volumes.ts';
import { claimKeyOf } from './pod-claims.ts';

const lookMs = 100;

export interface BindContext {
  client: Client;
  claim(key: string): PersistentVolumeClaim | undefined;
  volume(name: string): PersistentVolume | undefined;
  node(): Node | undefined;
  isPodGone(): boolean;
  nodeName: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Answers the versions, by keys, of the claims that have a node now. A conflict means that somebody was faster: the error ends
 * this attempt, and the next one sees the new state.
 */
export async function writeDecisions(
  { bind, provision }: VolumeDecisions,
  { client, nodeName }: BindContext,
): Promise<ReadonlyMap<string, string>> {
  for (const { claim, volume } of bind) {
    if (volume.spec?.claimRef?.uid && isReserved(volume, claim)) continue;
    const { namespace = '', name = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
    const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion };
    const metadata = volume.spec?.claimRef
      ? volume.metadata
      : annotated(volume.metadata, { [boundByController]: 'yes' });
    await client
      .resource(persistentVolumes)
      .update({ ...volume, ...(metadata ? { metadata } : {}), spec: { ...volume.spec, claimRef } });
  }
  const written = new Map<string, string>();
  for (const claim of provision) {
    const metadata = annotated(claim.metadata, { [selectedNode]: nodeName });
    const isThere = claim.metadata?.annotations?.[selectedNode] === nodeName;
    const now = isThere ? claim : await client.resource(persistentVolumeClaims).update({ ...claim, metadata });
    written.set(claimKeyOf(claim), now.metadata?.resourceVersion ?? '');
  }
  return written;
}

/** Throws with upstream's words when a claim will not get its volume here. */
export async function waitUntilBound(
  { bind, provision }: VolumeDecisions,
  written: ReadonlyMap<string, string>,
  context: BindContext,
): Promise<void> {
  const { nodeName, signal } = context;
  const deadline = Date.now() + context.timeoutMs;
  const keys = [...bind, ...provision.map((claim) => ({ claim }))].map(({ claim }) => claimKeyOf(claim));
  const isBound = (key: string): boolean => {
    const claim = context.claim(key);
    if (!claim) throw new Error(`failed to get PVC "${key}": persistentvolumeclaim not found`);
    const name = claim.metadata?.name;
    const version = written.get(key);
    if (version !== undefined) {
      // The informer has not come to our own writing yet.
      if (BigInt(claim.metadata?.resourceVersion ?? 0) < BigInt(version)) return false;
      const node = claim.metadata?.annotations?.[selectedNode];
      // A provisioner that cannot make a volume here takes the node away again.
      if (!node) throw new Error(`selectedNode annotation reset for PVC "${name}"`);
      if (node !== nodeName) throw new Error(`provisioning failed for PVC "${name}"`);
    }
    if (!isFullyBound(claim)) return false;
    const volume = context.volume(claim.spec?.volumeName ?? '');
    if (!volume) return false;
    const node = context.node();
    if (node && !isUsableOn(volume, node))
      throw new Error(
        `pv "${volume.metadata?.name}" node affinity doesn't match node "${nodeName}": no matching NodeSelectorTerms`,
      );
    return true;
  };
  while (!keys.every(isBound)) {
    if (context.isPodGone()) throw new Error('pod does not exist any more');
    if (signal.aborted) throw new Error('the scheduler is stopping');
    if (Date.now() > deadline) throw new Error('context deadline exceeded');
    await pause(lookMs, signal);
  }
}
