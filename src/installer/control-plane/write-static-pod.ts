/** Puts the manifest of a static pod in place, after its files have got the owner that it runs as. */
import { manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { processesOf } from './hold.ts';
import { settleOwners, userOf } from './owners.ts';

const handOverTimeoutMs = 120_000;

export async function writeStaticPod(
  changes: Changes,
  name: string,
  manifest: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { host } = changes;
  const path = `${manifestsDir}/${name}.yaml`;
  const before = await readText(host, path);
  const settled = await settleOwners(changes, manifest);
  const changed = (await changes.file(path, manifest, { mode: 0o600 })) || settled;
  const uid = userOf(manifest);
  const earlier = before === undefined ? uid : userOf(before);
  if (uid === 0 || uid === earlier || host.dryRun) return changed;
  // Until it has ended, the one that runs as another user may make files that the next one could not open.
  await waitUntil(async () => !(await processesOf(host, name)).includes(earlier), {
    timeoutMs: handOverTimeoutMs,
    signal,
    failure: () =>
      new KinitError(
        'Timeout',
        `${name} still runs as another user ${handOverTimeoutMs / 1000} s after its manifest has changed`,
        {
          advice: 'the kubelet has to run for that: systemctl status kubelet; then run the command again',
        },
      ),
  });
  await settleOwners(changes, manifest);
  return changed;
}
