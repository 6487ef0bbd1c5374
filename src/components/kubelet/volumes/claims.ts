/**
 * Finds the persistent volumes behind a pod's claims, with upstream's words when they cannot be used. What was found once is
 * written into the pod's directory: a running pod keeps its volumes, whatever becomes of the claim, the API server or the kubelet.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimNameOf, isUsableOn } from '../../../machinery/api/persistent-volumes.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '../../../machinery/api/types.ts';
import { writeFileIfChanged } from '../../../machinery/atomic-file.ts';
import type { ReferencedObjects } from '../types.ts';
import { type PersistentSource, volumesOf } from './paths.ts';

export type PersistentSources = Record<string, PersistentSource>;

/** A claim that cannot be mounted yet; the message goes into the event for all of the pod's claims. */
export class ClaimProblem extends Error {}

export interface ClaimContext {
  objects: Pick<ReferencedObjects, 'persistentVolumeClaim' | 'persistentVolume'>;
  node(): Node | undefined;
}

const recordOf = (podDir: string) => join(podDir, 'persistent-volumes.json');

/** By names of the pod's volumes; empty before the first was found. */
export async function knownSources(podDir: string): Promise<PersistentSources> {
  try {
    return JSON.parse(await readFile(recordOf(podDir), 'utf8')) as PersistentSources;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Looks up what is not known yet. Answers all sources, and what is wrong with each volume that has none. */
export async function findSources(
  pod: Pod,
  podDir: string,
  context: ClaimContext,
): Promise<{ sources: PersistentSources; problems: Map<string, ClaimProblem> }> {
  const problems = new Map<string, ClaimProblem>();
  const claimed = volumesOf(pod).filter((volume) => claimNameOf(pod, volume));
  if (claimed.length === 0) return { sources: {}, problems };
  const sources = await knownSources(podDir);
  const missing = claimed.filter(({ name }) => !sources[name]);
  await Promise.all(
    missing.map(async (volume) => {
      try {
        sources[volume.name] = await sourceOf(pod, volume, context);
      } catch (error) {
        problems.set(volume.name, new ClaimProblem((error as Error).message));
      }
    }),
  );
  // Mounted once for all of the pod's volumes that stand for it: read-only when none of them is to be written.
  const written = new Set(Object.values(sources).flatMap((source) => (source.readOnly ? [] : source.volumeName)));
  for (const source of Object.values(sources)) source.mountReadOnly = !written.has(source.volumeName);
  if (missing.length > problems.size)
    await writeFileIfChanged(recordOf(podDir), `${JSON.stringify(sources, null, 2)}\n`, 0o600);
  return { sources, problems };
}

async function sourceOf(pod: Pod, volume: Volume, { objects, node }: ClaimContext): Promise<PersistentSource> {
  const namespace = pod.metadata?.namespace ?? '';
  const claimName = claimNameOf(pod, volume) ?? '';
  const failed = (message: string) => new Error(`error processing PVC ${namespace}/${claimName}: ${message}`);
  let claim: PersistentVolumeClaim;
  try {
    claim = await objects.persistentVolumeClaim(namespace, claimName);
  } catch (error) {
    throw failed(`failed to fetch PVC from API server: ${(error as Error).message}`);
  }
  if (volume.ephemeral && !claim.metadata?.ownerReferences?.some(({ uid }) => uid === pod.metadata?.uid))
    throw failed(
      `PVC ${namespace}/${claimName} was not created for pod ${namespace}/${pod.metadata?.name} (pod is not owner)`,
    );
  if (claim.metadata?.deletionTimestamp) throw failed('PVC is being deleted');
  const volumeName = claim.spec?.volumeName;
  if (claim.status?.phase !== 'Bound' || !volumeName) throw failed('PVC is not bound');
  const mode = claim.spec?.volumeMode ?? 'Filesystem';
  if (mode !== 'Filesystem')
    throw new Error(`volume ${volume.name} has volumeMode ${mode}, which this kubelet does not mount`);
  let found: PersistentVolume;
  try {
    found = await objects.persistentVolume(volumeName);
  } catch (error) {
    throw failed(`failed to fetch PV ${volumeName} from API server: ${(error as Error).message}`);
  }
  const reference = found.spec?.claimRef;
  if (!reference)
    throw failed(
      `found PV object ${volumeName} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim`,
    );
  if (reference.uid !== claim.metadata?.uid)
    throw failed(
      `found PV object ${volumeName} but its pv.Spec.ClaimRef.UID ${reference.uid} does not point to claim.UID ${claim.metadata?.uid}`,
    );
  const here = node();
  if (here && !isUsableOn(found, here))
    throw new Error(`MountVolume.NodeAffinity check failed for volume "${volumeName}" : no matching NodeSelectorTerms`);
  const readOnly = volume.persistentVolumeClaim?.readOnly ?? false;
  const common = { volumeName, claimName, readOnly };
  const { hostPath, local, mountOptions } = found.spec ?? {};
  if (hostPath) return { ...common, kind: 'hostPath', path: hostPath.path, type: hostPath.type ?? '' };
  if (local) return { ...common, kind: 'local', path: local.path, mountOptions: mountOptions ?? [] };
  throw new Error(`no volume plugin matched for volume "${volumeName}"`);
}

/** The text of the event for claims that are not ready, as upstream sums them up. */
export function unmountedText(problems: ReadonlyMap<string, ClaimProblem>): string {
  const names = [...problems.keys()].join(' ');
  const why = [...new Set([...problems.values()].map(({ message }) => message))].join('; ');
  return `Unable to attach or mount volumes: unmounted volumes=[${names}], unattached volumes=[], failed to process volumes=[${names}]: ${why}`;
}
