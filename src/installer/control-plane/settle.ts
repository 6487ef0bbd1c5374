/** A static pod's manifest is written; where the pod runs already, what comes next waits until it runs anew and is well. */
import { load } from 'js-yaml';
import type { Pod } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { manifestsDir } from '../config/paths.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { containerOf, staticPod, waitForStaticPod } from '../upgrade/gates.ts';
import { writeStaticPod } from './write-static-pod.ts';

export interface Settling {
  changes: Changes;
  client(): Promise<Client>;
  nodeName: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** @returns whether anything changed @throws KinitError Timeout when the pod does not become well with the new manifest */
export async function writeManifest(name: string, manifest: string, settling: Settling): Promise<boolean> {
  const { changes, client, nodeName, timeoutMs, signal } = settling;
  const { host } = changes;
  const path = `${manifestsDir}/${name}.yaml`;
  const before = host.dryRun ? undefined : await readText(host, path);
  if (before === undefined || before === manifest) return writeStaticPod(changes, name, manifest, signal);
  // An API server that does not answer may be what this change mends.
  const found = await client()
    .then((api) => staticPod(api, name, nodeName, signal))
    .catch((error: unknown) => {
      signal.throwIfAborted();
      if (error instanceof Error) return undefined;
      throw error;
    });
  await writeStaticPod(changes, name, manifest, signal);
  const oldContainer = containerOf(found);
  if (!oldContainer) return true;
  const image = (load(manifest) as Pod | undefined)?.spec?.containers[0]?.image ?? '';
  await waitForStaticPod(await client(), name, nodeName, { image, oldContainer }, { timeoutMs, signal });
  return true;
}
