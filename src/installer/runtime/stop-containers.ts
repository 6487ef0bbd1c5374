/** Ends every container of Kubernetes on a host, and what they leave: mounts, network namespaces, cgroups. */
import { containerdPaths, kubeletDir } from '../config/paths.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { mountsIn } from '../host/mounts.ts';
import { pause } from '../host/wait.ts';
import { ctr } from './containerd.ts';
import { withCri } from './cri.ts';

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

/** Containers of kinit's containerd. @returns how many there were */
export async function stopOwnContainers(host: Host): Promise<number> {
  if ((await ctr(host, ['version'])).exitCode !== 0) return 0;
  const containers = words((await ctr(host, ['containers', 'ls', '-q'])).stdout);
  const tasks = words((await ctr(host, ['tasks', 'ls', '-q'])).stdout);
  await Promise.all(tasks.map((id) => ctr(host, ['tasks', 'kill', '--signal', 'SIGKILL', '--all', id], {})));
  const deadline = Date.now() + 10_000;
  for (
    let left = tasks;
    left.length && Date.now() < deadline;
    left = words((await ctr(host, ['tasks', 'ls', '-q'])).stdout)
  ) {
    await Promise.all(left.map((id) => ctr(host, ['tasks', 'rm', '--force', id], {})));
    await pause(50);
  }
  for (const id of containers) await ctr(host, ['containers', 'rm', id], {});
  return containers.length;
}

/**
 * Pods of a runtime that stays, as its clients remove them.
 * @param problem told when it cannot be asked: then the processes of pods are ended without it
 */
export async function stopPods(host: Host, socket: string, problem: (text: string) => void): Promise<boolean> {
  if (host.dryRun) return false;
  try {
    return await withCri(socket, async (cri) => {
      const pods = await cri.pods();
      // Static pods and networks come down side by side; a network that is gone already is no reason to keep a pod.
      await Promise.all(pods.map((pod) => cri.stopPod(pod).catch(() => undefined)));
      await Promise.all(pods.map((pod) => cri.removePod(pod)));
      return pods.length > 0;
    });
  } catch (error) {
    problem(`the pods of ${socket} were not all removed: ${error instanceof Error ? error.message : String(error)}`);
    await killPodProcesses(host);
    return true;
  }
}

/** Processes in cgroups of pods: what is left when the runtime could not be asked. */
export async function killPodProcesses(host: Host): Promise<void> {
  const found = await host.run('find', ['/sys/fs/cgroup', '-path', '*kubepods*', '-name', 'cgroup.procs'], {
    observe: true,
  });
  const pids = new Set<string>();
  for (const path of found.stdout.split('\n').filter(Boolean)) {
    for (const pid of words((await readText(host, path).catch(() => '')) ?? '')) pids.add(pid);
  }
  if (pids.size) await host.run('kill', ['-9', ...pids]);
}

/** Shims outlive containerd on purpose; without their containers they are only left over. */
export async function killShims(host: Host): Promise<void> {
  const pids: string[] = [];
  for (const pid of await host.list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = (await readText(host, `/proc/${pid}/cmdline`).catch(() => '')) ?? '';
    if (command.includes('containerd-shim') && command.includes('k8s.io') && command.includes(containerdPaths.socket))
      pids.push(pid);
  }
  if (pids.length) await host.run('kill', ['-9', ...pids]);
}

export async function removePodCgroups(host: Host): Promise<void> {
  await host.run('systemctl', ['stop', 'kubepods.slice']);
  const below = ['/sys/fs/cgroup', '-depth', '-type', 'd'];
  await host.run('find', [
    ...below,
    '(',
    '-path',
    '*/kubepods/*',
    '-o',
    '-name',
    'kubepods',
    ')',
    '-exec',
    'rmdir',
    '{}',
    ';',
  ]);
}

/** Network namespaces of pods that the runtime has left behind. */
const isPodNamespace = (path: string) => /^\/(?:var\/)?run\/netns\/cni-/.test(path);

/** What umount(8) calls the flags of umount(2); the paths are the kernel's own, so there are no links to follow. */
const unmountSwitches: Record<string, string> = { MNT_FORCE: '-f', MNT_DETACH: '-l' };

/**
 * @param ownRuntime also the root file systems of containers: all of them were kinit's
 * @param flags names of umount(2); it is always lazy, since a process may be in a volume
 */
export async function unmountAll(host: Host, ownRuntime: boolean, flags: readonly string[] = []): Promise<string[]> {
  const switches = new Set(['-l', ...flags.flatMap((flag) => unmountSwitches[flag] ?? [])]);
  const problems: string[] = [];
  const folders = [kubeletDir, ...(ownRuntime ? [containerdPaths.state, containerdPaths.root] : [])];
  const namespaces = (await mountsIn(host, ['/run/netns', '/var/run/netns'])).filter(isPodNamespace);
  for (const path of [...(await mountsIn(host, folders)), ...namespaces]) {
    const result = await host.run('umount', [...switches, path]);
    if (result.exitCode !== 0 && !/not mounted|no mount point/.test(result.stderr))
      problems.push(`${path}: ${result.stderr.trim()}`);
  }
  for (const path of new Set(namespaces)) if (await exists(host, path)) await host.remove(path);
  return problems;
}
