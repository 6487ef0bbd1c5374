/** One static pod from one manifest or image to the next, behind its gate; forwards in an upgrade, backwards in a rollback. */
import { load } from 'js-yaml';
import type { Pod } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { listImages } from '../bundle/oci-layout.ts';
import { temporaryDir } from '../config/paths.ts';
import { holdStaticPods, releaseStaticPods } from '../control-plane/hold.ts';
import { writeStaticPod } from '../control-plane/write-static-pod.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { isSame } from '../runtime/image-access.ts';
import { manifestPath, type StaticPodName } from './backup.ts';
import { containerOf, staticPod, type WantedPod, waitForStaticPod } from './gates.ts';

const holdFolder = `${temporaryDir}/kinit-upgrade-hold`;

export const imageOf = (manifest: string): string =>
  (load(manifest) as Pod | undefined)?.spec?.containers[0]?.image ?? '';

export interface StaticPodStep {
  changes: Changes;
  client: () => Promise<Client>;
  nodeName: string;
  /** The images of the bundle that it shall run from. */
  layout: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** Whether the pod runs an image of that name with another content than the bundle's: two bundles of one Kubernetes version. */
export async function runsOtherImage(pod: Pod | undefined, image: string, layout: string): Promise<boolean> {
  const status = pod?.status?.containerStatuses?.[0];
  const seen = /sha256:[0-9a-f]{64}/.exec(status?.imageID ?? '')?.[0];
  if (!seen || pod?.spec?.containers[0]?.image !== image) return false;
  const own = image.slice(image.lastIndexOf('/'));
  const found = (await listImages(layout)).find(({ reference }) => reference.endsWith(own));
  return found !== undefined && !(await isSame(layout, found, seen));
}

export interface ReplacedPod {
  changed: boolean;
  /** What the kubelet shall make of it. */
  wanted: WantedPod;
}

/** Gives the kubelet the manifest, and waits for nothing. */
export async function replaceStaticPod(
  name: StaticPodName,
  manifest: string,
  step: StaticPodStep,
): Promise<ReplacedPod> {
  const { changes, client, nodeName, layout, signal } = step;
  const { host } = changes;
  // What a run that was broken off has put away is written anew here.
  const held = await host.stat(`${holdFolder}/${name}.yaml`);
  if (held) await host.remove(`${holdFolder}/${name}.yaml`);
  const image = imageOf(manifest);
  if (host.dryRun) return { changed: await writeStaticPod(changes, name, manifest, signal), wanted: { image } };
  const before = await staticPod(await client(), name, nodeName, signal).catch((error: unknown) => {
    // The API server may be what does not run at the moment.
    signal.throwIfAborted();
    if (error instanceof Error) return undefined;
    throw error;
  });
  let changed = await writeStaticPod(changes, name, manifest, signal);
  if (!changed && (await runsOtherImage(before, image, layout))) {
    await holdStaticPods(host, [name], holdFolder, signal);
    await releaseStaticPods(host, [name], holdFolder);
    changed = true;
  }
  const oldContainer = changed ? containerOf(before) : undefined;
  return { changed, wanted: { image, serves: true, ...(oldContainer ? { oldContainer } : {}) } };
}

/** @returns whether anything changed @throws KinitError Timeout when the pod does not become well */
export async function settleStaticPod(name: StaticPodName, manifest: string, step: StaticPodStep): Promise<boolean> {
  const { changes, client, nodeName, timeoutMs, signal } = step;
  const { changed, wanted } = await replaceStaticPod(name, manifest, step);
  if (!changes.host.dryRun) await waitForStaticPod(await client(), name, nodeName, wanted, { timeoutMs, signal });
  return changed;
}

/** Behind the gates, when all else is done: the kubelet itself has found them ready, which takes it 10 s after a start. */
export async function waitForReadyStaticPods(
  names: readonly StaticPodName[],
  { changes: { host }, client, nodeName, timeoutMs, signal }: Omit<StaticPodStep, 'layout'>,
): Promise<void> {
  for (const name of names) {
    const manifest = await readText(host, manifestPath(name));
    if (manifest === undefined) continue;
    await waitForStaticPod(await client(), name, nodeName, { image: imageOf(manifest) }, { timeoutMs, signal });
  }
}
