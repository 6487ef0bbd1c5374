/** Removes hosts and labs without a trace, also those of a supervisor that has died. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { execa } from 'execa';
import { hostProcesses, removeHostCgroups, setFrozen } from './cgroups.ts';
import { restoreInotifyLimit } from './kernel-limits.ts';
import { disconnectHost, ownsNetwork, releaseNetwork } from './network.ts';
import { cgroupOf, type HostState, hostFolder, type LabState } from './state.ts';

const deadlineMs = 20_000;

/** Ends every process of a host at once, as pulling its plug would. */
export async function killHost(state: LabState, host: HostState): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  // Who is frozen would not die.
  await setFrozen(cgroupOf(state, host.name), false);
  for (;;) {
    const pids = await hostProcesses(cgroupOf(state, host.name));
    if (!pids.length) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    if (Date.now() > deadline) throw new Error(`processes of host ${host.name} do not end: ${pids.join(' ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Unmounts everything below a folder, deepest first. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
  for (const path of mounts) await execa('umount', ['--lazy', path], { reject: false });
}

/** Hosts, mounts, namespaces, bridge, control groups, files. */
export async function takeDown(state: LabState): Promise<void> {
  const owned = await ownsNetwork(state.network, state.folder);
  await Promise.all(
    state.hosts.map(async (host) => {
      if (owned) await killHost(state, host);
      await unmountBelow(hostFolder(state, host.name));
      if (!owned) return;
      await disconnectHost(state.network, host.name, host.position);
      await removeHostCgroups(cgroupOf(state, host.name));
    }),
  );
  if (owned) await releaseNetwork(state.network);
  await restoreInotifyLimit();
  if (existsSync(state.folder)) await rm(state.folder, { recursive: true, force: true });
}
