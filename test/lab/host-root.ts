/** A host's own disk: an overlay over its flavour, with its name, keys, users and addresses. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { flavourLayers } from './roots.ts';
import { type HostState, hostFolder, hostKeyPath, keyPath, knownHostsPath, type LabState } from './state.ts';

const mergedOf = (state: LabState, host: string) => join(hostFolder(state, host), 'root');

export async function isMounted(path: string): Promise<boolean> {
  return (await readFile('/proc/self/mounts', 'utf8')).split('\n').some((line) => line.split(' ')[1] === path);
}

/** Mounts the disk of a container or of a machine in the making; the first time it also writes what makes the host itself. */
export async function mountHostRoot(state: LabState, host: HostState): Promise<string> {
  const folder = hostFolder(state, host.name);
  const root = mergedOf(state, host.name);
  const fresh = !existsSync(join(folder, 'upper'));
  for (const path of ['upper', 'work', 'root']) await mkdir(join(folder, path), { recursive: true });
  if (!(await isMounted(root))) {
    const lower = (await flavourLayers(host.flavour, host.kind)).join(':');
    const options = `lowerdir=${lower},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
    await execa('mount', ['-t', 'overlay', 'overlay', '-o', options, root]);
  }
  if (fresh) await personalize(state, host, root);
  return root;
}

async function personalize(state: LabState, host: HostState, root: string): Promise<void> {
  await writeFile(join(root, 'etc/hostname'), `${host.name}\n`);
  await writeFile(join(root, 'etc/machine-id'), `${randomUUID().replaceAll('-', '')}\n`);
  const neighbours = state.hosts.map((other) => `${other.address} ${other.name}\n`).join('');
  await writeFile(join(root, 'etc/hosts'), `127.0.0.1 localhost\n${neighbours}`);
  await writeFile(join(root, 'etc/resolv.conf'), `nameserver 10.77.${state.network.index}.1\n`);
  for (const type of ['rsa', 'ecdsa', 'ed25519']) {
    for (const suffix of ['', '.pub']) await execa('rm', ['-f', join(root, `etc/ssh/ssh_host_${type}_key${suffix}`)]);
  }
  await execa('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    host.name,
    '-f',
    join(root, 'etc/ssh/ssh_host_ed25519_key'),
  ]);
  await copyFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), hostKeyPath(state, host.name));
  await authorize(state, root, '/root', 0);
  for (const [index, user] of host.users.entries()) {
    const uid = 1000 + index;
    await execa('chroot', [root, 'useradd', '--create-home', '--shell', '/bin/bash', '--uid', String(uid), user.name]);
    await authorize(state, root, `/home/${user.name}`, uid);
    if (user.password) await execa('chroot', [root, 'chpasswd'], { input: `${user.name}:${user.password}\n` });
    if (!user.sudo) continue;
    const rule = user.sudo === 'nopasswd' ? 'NOPASSWD:ALL' : 'ALL';
    await writeFile(join(root, 'etc/sudoers.d', user.name), `${user.name} ALL=(ALL:ALL) ${rule}\n`, { mode: 0o440 });
  }
}

async function authorize(state: LabState, root: string, home: string, uid: number): Promise<void> {
  const folder = join(root, home, '.ssh');
  await mkdir(folder, { recursive: true });
  await copyFile(`${keyPath(state)}.pub`, join(folder, 'authorized_keys'));
  await chmod(folder, 0o700);
  await execa('chown', ['-R', `${uid}:${uid}`, folder]);
}

/** Adds the host's public key to the lab's known_hosts. */
export async function rememberHostKey(state: LabState, host: HostState): Promise<void> {
  const key = (await readFile(hostKeyPath(state, host.name), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(knownHostsPath(state), `${host.address} ${key}\n`, { flag: 'a' });
}
