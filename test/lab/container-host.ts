/** A fast host: systemd-nspawn boots the host's root as a container, with systemd as its first process. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mountHostRoot } from './host-root.ts';
import { connectHost, namespaceOf } from './network.ts';
import { cgroupOf, type HostState, hostFolder, type LabState } from './state.ts';

/** A program that is the host as long as it runs. */
export interface HostProgram {
  command: string[];
  env?: Record<string, string>;
  /** The exit code by which the host asks to be started again. */
  rebootExitCode?: number;
}

/** Folders on the plain disk: an overlay cannot have an overlay as its upper layer, which containers would need. */
const plainFolders = ['/var/lib/containerd', '/var/lib/kubelet', '/var/lib/etcd'];
const plainFolderOf = (state: LabState, host: string, path: string) =>
  join(hostFolder(state, host), 'plain', path.replaceAll('/', '_'));

export async function prepareContainer(lab: LabState, host: HostState): Promise<HostProgram> {
  const root = await mountHostRoot(lab, host);
  for (const path of plainFolders) await mkdir(plainFolderOf(lab, host.name, path), { recursive: true });
  await connectHost(lab.network, host.name, host.position);
  const command = [
    'systemd-nspawn',
    '--boot',
    '--quiet',
    `--directory=${root}`,
    // Names of machines are the whole machine's; two labs may have hosts of the same name.
    `--machine=${cgroupOf(lab, host.name)}`,
    `--hostname=${host.name}`,
    '--register=no',
    '--keep-unit',
    `--network-namespace-path=/run/netns/${namespaceOf(lab.network, host.name)}`,
    '--capability=all',
    '--system-call-filter=@keyring bpf @swap @module @reboot',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    '--console=pipe',
    ...plainFolders.map((path) => `--bind=${plainFolderOf(lab, host.name, path)}:${path}`),
  ];
  return { command, env: { SYSTEMD_NSPAWN_API_VFS_WRITABLE: '1' }, rebootExitCode: 133 };
}
