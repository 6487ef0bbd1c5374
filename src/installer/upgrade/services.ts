/** The services of a host that run programs of the bundle: which bundle that is, and starting them anew from another one. */
import { imageTags } from '../bundle/image-names.ts';
import { bundlePaths, containerdPaths, kubeletPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { ask } from '../health/components.ts';
import { type Changes, unitState } from '../host/changes.ts';
import { type Host, readText, runOrFail } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { unitName as containerdService, containerdUnit, waitForContainerd } from '../runtime/containerd.ts';
import { kubeletUnit } from '../runtime/kubelet.ts';
import { nodeRuntime } from '../runtime/node-runtime.ts';
import { yamlFields } from './configuration.ts';

/** Path of the program that a unit runs; undefined when it does not run. */
export async function programOf(host: Host, unit: string): Promise<string | undefined> {
  const { stdout } = await host.run('systemctl', ['show', '--property=MainPID', unit], { observe: true });
  const pid = /^MainPID=(\d+)$/m.exec(stdout)?.[1];
  if (!pid || pid === '0') return undefined;
  return (await host.stat(`/proc/${pid}/exe`))?.target;
}

const isFrom = (program: string | undefined, folder: string) => program?.startsWith(`${folder}/`) ?? false;

/** Starts a unit anew unless it runs from this bundle already. @param also for another reason, too */
export async function restartFrom(host: Host, unit: string, folder: string, also = false): Promise<boolean> {
  if (!also && isFrom(await programOf(host, unit), folder)) return false;
  await runOrFail(host, 'systemctl', ['restart', unit], { advice: `look at: journalctl -u ${unit} -n 50` });
  return true;
}

/** Moves the link: from here on, whatever starts is of that bundle. The file system does it in one step. */
export async function moveLink(host: Host, folder: string): Promise<boolean> {
  if ((await host.stat(bundlePaths.current))?.target === folder) return false;
  await host.symlink(bundlePaths.current, folder);
  return true;
}

/** The image of pods' sandboxes is named in containerd's configuration; the rest of that is the host's and stays. */
export const withSandboxImage = (config: string): string =>
  config.replaceAll(/(\/pause:)[\w.-]+/g, `$1${imageTags.pause}`);

/**
 * containerd from the bundle in use. Its shims go on while it restarts, so pods keep running.
 * @returns whether anything changed
 */
export async function upgradeContainerd(
  changes: Changes,
  canLowerOomScore: boolean,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { host } = changes;
  const { runtime } = nodeRuntime(changes.journal);
  if (runtime === 'existing') return false;
  const config = await readText(host, containerdPaths.config);
  const mode = (await host.stat(containerdPaths.config))?.mode ?? 0o600;
  let changed =
    config !== undefined && (await changes.file(containerdPaths.config, withSandboxImage(config), { mode }));
  if (runtime === 'bundle') {
    const unit = await changes.file(containerdPaths.unit, containerdUnit({ canLowerOomScore }));
    if (unit) await runOrFail(host, 'systemctl', ['daemon-reload']);
    changed ||= unit;
    if (await restartFrom(host, containerdService, folder, changed)) changed = true;
  } else if (changed) await runOrFail(host, 'systemctl', ['restart', containerdService]);
  if (changed && !host.dryRun) await waitForContainerd(host, signal);
  return changed;
}

async function healthzUrl(host: Host): Promise<string> {
  const { healthzPort } = yamlFields(await readText(host, kubeletPaths.config));
  return `http://127.0.0.1:${Number(healthzPort) || 10248}/healthz`;
}

/** The kubelet answers by itself, whatever the API server knows of it. */
export async function waitForKubelet(host: Host, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const url = await healthzUrl(host);
  let seen = '';
  await waitUntil(
    async () => {
      const { active } = await unitState(host, kubeletUnit);
      const answer = active ? await ask(url) : { healthy: false, seen: `${kubeletUnit} is not active` };
      seen = answer.seen;
      return answer.healthy;
    },
    {
      timeoutMs,
      intervalMs: 250,
      signal,
      failure: () =>
        new KinitError('Timeout', `the kubelet is not healthy after ${Math.round(timeoutMs / 1000)} s`, {
          seen,
          advice: 'look at: journalctl -u kubelet -n 50',
        }),
    },
  );
}
