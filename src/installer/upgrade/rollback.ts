/** The way back on one host: the earlier bundle, its files, its manifests. Every step looks before it acts, so it can be repeated. */
import type { Client } from '../../machinery/client/types.ts';
import { bundlePaths, containerdPaths, linkDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { exists, readText, runOrFail } from '../host/host.ts';
import { unitName as containerdService, waitForContainerd } from '../runtime/containerd.ts';
import { kubeletUnit } from '../runtime/kubelet.ts';
import { loadFromLayout } from '../runtime/load-images.ts';
import { nodeRuntime } from '../runtime/node-runtime.ts';
import { copyOf, isManifest, manifestPath, restoreCopies, type StaticPodName, staticPodNames } from './backup.ts';
import { describeBundle, imagesOf } from './bundle-folders.ts';
import { restartEndpoint } from './endpoint.ts';
import { waitForStaticPod } from './gates.ts';
import { moveLink, restartFrom, waitForKubelet } from './services.ts';
import { type UpgradeState, writeUpgradeState } from './state.ts';
import { type ReplacedPod, replaceStaticPod, waitForReadyStaticPods } from './static-pod.ts';

export interface RollbackOptions {
  changes: Changes;
  state: UpgradeState;
  nodeName: string;
  client: () => Promise<Client>;
  /** For each static pod, and for the kubelet. */
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * What a failure in an upgrade means: back, or leave it for the next run. Somebody who interrupts wants to stop, not to go back;
 * what was found before anything had changed needs no way back.
 */
export function rollbackDecision(
  failure: { interrupted: boolean; dryRun: boolean },
  state: UpgradeState,
): 'back' | 'stay' {
  if (failure.interrupted || failure.dryRun) return 'stay';
  // The same bundle again: there is nothing earlier to go to.
  if (state.from.folder === state.to.folder) return 'stay';
  return state.saved.length ? 'back' : 'stay';
}

/** The kubelet first: it may not be newer than the API server that comes back. @returns whether anything changed */
export async function rollBack(options: RollbackOptions): Promise<boolean> {
  const { changes, state, nodeName, client, timeoutMs, signal } = options;
  const { host } = changes;
  const { from } = state;
  if (!host.dryRun && (await exists(host, `${imagesOf(from)}/index.json`)))
    await loadFromLayout(host, imagesOf(from), ({ added }) => !added);
  const files = await restoreCopies(host, state, (path) => !isManifest(path));
  const moved = await moveLink(host, from.folder);
  // The command stays the new one, as after unpacking: with it, the upgrade can be tried again.
  const command = `${linkDir}/kinit`;
  if ((await host.stat(command))?.target?.startsWith(`${bundlePaths.parent}/`))
    await changes.link(command, `${state.to.folder}/bin/kinit`);
  if (files.some((path) => path.startsWith('/etc/systemd/'))) await runOrFail(host, 'systemctl', ['daemon-reload']);
  const runtimeFiles = files.some((path) => path === containerdPaths.config || path === containerdPaths.unit);
  const { runtime } = nodeRuntime(changes.journal);
  const runtimeBack =
    runtime !== 'existing' &&
    (runtime === 'bundle' || runtimeFiles) &&
    (await restartFrom(host, containerdService, from.folder, runtimeFiles));
  if (runtimeBack && !host.dryRun) await waitForContainerd(host, signal);
  const endpointBack = await restartEndpoint(host, from.folder, files);
  const kubeletBack = await restartFrom(host, kubeletUnit, from.folder, files.length > 0);
  if (!host.dryRun) await waitForKubelet(host, timeoutMs, signal);
  // All of them before the first one is awaited: what is seen of them is seen through the API server, which may be what is broken.
  const pods: [StaticPodName, ReplacedPod][] = [];
  for (const name of staticPodNames) {
    const saved = state.saved.find(({ path }) => path === manifestPath(name));
    if (saved?.mode === undefined) continue;
    const manifest = await readText(host, copyOf(state.backup, manifestPath(name)));
    if (manifest === undefined)
      throw new KinitError('Command', `the copy of ${manifestPath(name)} is gone from ${state.backup}`);
    const step = { changes, client, nodeName, layout: imagesOf(from), timeoutMs, signal };
    pods.push([name, await replaceStaticPod(name, manifest, step)]);
  }
  if (!host.dryRun) {
    for (const [name, { wanted }] of pods)
      await waitForStaticPod(await client(), name, nodeName, wanted, { timeoutMs, signal });
    const settled = { changes, client, nodeName, timeoutMs, signal };
    await waitForReadyStaticPods(
      pods.map(([name]) => name),
      settled,
    );
  }
  await writeUpgradeState(host, { ...state, ended: 'rolled-back' });
  return (
    moved || runtimeBack || endpointBack || kubeletBack || pods.some(([, { changed }]) => changed) || files.length > 0
  );
}

/** The failure with what became of the host. */
export function rolledBackError(failure: KinitError, { from, to }: UpgradeState): KinitError {
  return new KinitError(
    failure.code,
    `the upgrade to ${describeBundle(to)} failed, and this host is back at ${describeBundle(from)}: ${failure.message}`,
    {
      ...failure.details,
      advice: [failure.details.advice, 'what is not well is told above; when it is mended, run the same command again']
        .filter(Boolean)
        .join('; '),
    },
  );
}

/** The way back failed, too: everything that is known, for somebody who has to finish it by hand. */
export function notRolledBackError(
  failure: KinitError,
  second: KinitError,
  { from, to, backup }: UpgradeState,
): KinitError {
  return new KinitError(
    failure.code,
    `the upgrade to ${describeBundle(to)} failed: ${failure.message}; and going back to ${describeBundle(from)} failed, too: ${second.message}`,
    {
      ...failure.details,
      seen: [failure.details.seen, second.details.seen].filter(Boolean).join('\n'),
      advice: `the files as they were are in ${backup}; try again with: ${to.folder}/bin/kinit upgrade rollback`,
    },
  );
}
