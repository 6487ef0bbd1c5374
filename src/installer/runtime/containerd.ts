/** containerd, runc and CNI plugins from the bundle: configuration, unit, and a daemon that answers. */
import { configuredReference, type ImageSettings } from '../bundle/image-names.ts';
import { bundlePaths, cniPaths, containerdPaths, namespacesDir } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { HostConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { CgroupDriver } from '../host/cgroups.ts';
import { type Changes, unitState } from '../host/changes.ts';
import { type CommandResult, exists, type Host, readText, runOrFail } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import type { RegistryUser } from './registries.ts';

export interface ContainerdSettings {
  cgroupDriver: CgroupDriver;
  snapshotter: 'overlayfs' | 'native';
  /** False: this host may not lower OOM scores. */
  canLowerOomScore: boolean;
  images: ImageSettings;
  /** Path of runc. */
  runc: string;
  users: RegistryUser[];
}

export const unitName = 'containerd.service';

/** containerd runs already and is not kinit's: a distribution's, or Docker's. */
export async function foreignContainerd(host: Host): Promise<string | undefined> {
  const unit = await readText(host, containerdPaths.unit);
  if (unit?.includes(bundlePaths.parent)) return undefined;
  const { active } = await unitState(host, unitName);
  if (active) return `the service ${unitName} is running`;
  return (await exists(host, containerdPaths.socket)) ? `${containerdPaths.socket} exists` : undefined;
}

/** overlayfs where the file system below /var/lib/containerd can carry it, else plain copies. */
export async function chooseSnapshotter(
  host: Host,
  wanted: HostConfiguration['snapshotter'],
): Promise<ContainerdSettings['snapshotter']> {
  if (wanted !== 'auto') return wanted;
  const configured = /snapshotter = "(overlayfs|native)"/.exec(
    (await readText(host, containerdPaths.config)) ?? '',
  )?.[1];
  if (configured === 'overlayfs' || configured === 'native') return configured;
  if (host.dryRun) return 'overlayfs';
  const probe = `${containerdPaths.root}/.kinit-probe`;
  // Left over from a run that was broken off.
  if (await exists(host, probe)) await host.run('umount', [`${probe}/merged`]);
  await host.remove(probe);
  try {
    for (const folder of ['lower', 'upper', 'work', 'merged']) await host.makeDirectory(`${probe}/${folder}`, 0o700);
    const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
    const mounted = await host.run('mount', ['-t', 'overlay', 'overlay', '-o', options, `${probe}/merged`]);
    if (mounted.exitCode !== 0) return 'native';
    await runOrFail(host, 'umount', [`${probe}/merged`]);
    return 'overlayfs';
  } finally {
    await host.remove(probe);
  }
}

export function containerdConfig(settings: ContainerdSettings): string {
  return renderTemplate('containerd/config.toml', {
    root: containerdPaths.root,
    state: containerdPaths.state,
    socket: containerdPaths.socket,
    sandboxImage: configuredReference('pause', settings.images),
    restrictOomScoreAdj: !settings.canLowerOomScore,
    cniBin: bundlePaths.cniBin,
    cniConfig: cniPaths.config,
    snapshotter: settings.snapshotter,
    runc: settings.runc,
    users: settings.users.map((user) => ({
      host: JSON.stringify(user.host),
      username: JSON.stringify(user.username),
      password: JSON.stringify(user.password),
    })),
    systemdCgroup: settings.cgroupDriver === 'systemd',
  });
}

export function containerdUnit(settings: Pick<ContainerdSettings, 'canLowerOomScore'>): string {
  return renderTemplate('systemd/containerd.service', {
    bin: bundlePaths.bin,
    config: containerdPaths.config,
    oomScoreAdjust: settings.canLowerOomScore,
  });
}

/** Where images, containers and plugins lie. It comes before anything is tried there. */
export async function makeRoot(changes: Changes): Promise<boolean> {
  await changes.claim(containerdPaths.plugins, 'folder');
  return changes.folder(containerdPaths.root, 0o711);
}

/** What every runtime writes beside its own files, and what names its socket. */
export async function prepareRuntimeFolders(changes: Changes, socket: string): Promise<boolean> {
  let changed = false;
  await changes.claim(namespacesDir, 'shared');
  for (const path of [cniPaths.config, cniPaths.state]) if (await changes.folder(path)) changed = true;
  if (await changes.file(containerdPaths.crictl, renderTemplate('containerd/crictl.yaml', { socket }))) changed = true;
  return changed;
}

/**
 * Files in place and the daemon running with them; restarted only when a file changed.
 * @param own the daemon is the bundle's and gets a unit; otherwise it is a package's and has one
 */
export async function installContainerd(
  changes: Changes,
  settings: ContainerdSettings,
  { own, signal }: { own: boolean; signal?: AbortSignal },
): Promise<boolean> {
  const { host } = changes;
  const mode = settings.users.length ? 0o600 : 0o644;
  const configChanged = await changes.file(containerdPaths.config, containerdConfig(settings), { mode });
  const unitChanged = own && (await changes.file(containerdPaths.unit, containerdUnit(settings)));
  if (unitChanged) await runOrFail(host, 'systemctl', ['daemon-reload']);
  const wasActive = (await unitState(host, unitName)).active;
  const stateChanged = await changes.unit(unitName, { enabled: true, active: true });
  if ((configChanged || unitChanged) && wasActive) await runOrFail(host, 'systemctl', ['restart', unitName]);
  if (!host.dryRun) await waitForContainerd(host, signal);
  return configChanged || unitChanged || stateChanged;
}

/** Its socket answers before all plugins are there, and also when that for Kubernetes could not be loaded. */
async function criPlugin(host: Host): Promise<'ok' | 'error' | undefined> {
  const { stdout } = await ctr(host, ['plugins', 'ls']);
  const line = stdout.split('\n').find((text) => /^io\.containerd\.grpc\.v1\s+cri\s/.test(text));
  return line ? (/\sok\s*$/.test(line) ? 'ok' : 'error') : undefined;
}

export async function waitForContainerd(host: Host, signal?: AbortSignal): Promise<void> {
  let seen = '';
  await waitUntil(
    async () => {
      const result = await ctr(host, ['version']);
      seen = result.stderr || result.stdout;
      if (result.exitCode !== 0) return false;
      const plugin = await criPlugin(host);
      if (plugin === 'error') throw await withoutCri(host);
      seen = 'its plugin for Kubernetes (cri) is not loaded yet';
      return plugin === 'ok';
    },
    {
      timeoutMs: 30_000,
      signal,
      failure: () =>
        new KinitError('Timeout', 'containerd does not answer', {
          seen,
          advice: 'look at: journalctl -u containerd -n 50',
        }),
    },
  );
}

async function withoutCri(host: Host): Promise<KinitError> {
  const log = await host.run('journalctl', ['-u', unitName, '-n', '200', '-o', 'cat', '--no-pager'], { observe: true });
  const line = log.stdout.split('\n').findLast((text) => /failed to load plugin.*grpc\.v1\.cri/.test(text));
  const tooMany = /too many open files/.test(line ?? '');
  return new KinitError('Command', 'containerd runs, but its plugin for Kubernetes (cri) could not be loaded', {
    ...(line ? { seen: line } : {}),
    advice: tooMany
      ? 'this host has no inotify instances left: raise the limit with sysctl -w fs.inotify.max_user_instances=1024, then systemctl restart containerd'
      : 'look at: journalctl -u containerd; then systemctl restart containerd',
  });
}

/** The bundle's `ctr` in Kubernetes' namespace. */
export async function ctr(
  host: Host,
  args: string[],
  options: Parameters<Host['run']>[2] = { observe: true },
  socket: string = containerdPaths.socket,
): Promise<CommandResult> {
  // It would try for ten seconds.
  if (!(await exists(host, socket))) return { exitCode: 1, stdout: '', stderr: `there is no ${socket}` };
  return host.run(`${bundlePaths.bin}/ctr`, ['--address', socket, '--namespace', 'k8s.io', ...args], options);
}
