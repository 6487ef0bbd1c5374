/**
 * The programs that run on a host itself: Debian's binaries with interpreter and library path set into the bundle's own
 * folder, so that they run on any glibc distribution, and launchers for the programs that are ours.
 */
import { chmod, copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DebianRoot } from './debian-root.ts';
import { libraryClosure } from './elf-closure.ts';
import { trimmedElf } from './elf-trim.ts';

/** Path below the bundle → path below the Debian root. */
export const hostBinaries: Record<string, string> = {
  'bin/containerd': 'usr/bin/containerd',
  'bin/containerd-shim-runc-v2': 'usr/bin/containerd-shim-runc-v2',
  'bin/ctr': 'usr/bin/ctr',
  'bin/runc': 'usr/sbin/runc',
  'bin/etcdutl': 'usr/bin/etcdutl',
  'bin/kubectl': 'usr/bin/kubectl',
  ...Object.fromEntries(
    [
      'bandwidth',
      'bridge',
      'firewall',
      'host-device',
      'host-local',
      'ipvlan',
      'loopback',
      'macvlan',
      'portmap',
      'ptp',
      'tuning',
      'vlan',
    ].map((plugin) => [`cni/bin/${plugin}`, `usr/lib/cni/${plugin}`]),
  ),
};

/** Programs of ours that run on hosts: name on PATH → folder in dist/ and V8 flags. */
export const hostPrograms: Record<string, { program: string; flags: string }> = {
  kinit: { program: 'kinit', flags: '' },
  'kinit-balancer': { program: 'balancer', flags: '--max-semi-space-size=1 --optimize-for-size ' },
  'kinit-virtual-ip': { program: 'virtual-ip', flags: '--max-semi-space-size=1 --optimize-for-size ' },
  kubelet: { program: 'kubelet', flags: '--max-semi-space-size=1 --optimize-for-size ' },
};

export interface HostSources {
  root: DebianRoot;
  node: string;
  dist: string;
}

/**
 * Lays bin/, lib/, cni/ and dist/ into `target`.
 * @param prefix where the bundle will lie on a host (`/opt/kinit/v0.1.0`): the interpreter's path is absolute
 */
export async function layHostFiles(target: string, prefix: string, { root, node, dist }: HostSources): Promise<void> {
  const sources = new Map(Object.entries(hostBinaries).map(([to, from]) => [to, join(root.path, from)]));
  sources.set('bin/node', node);
  const libraries = await libraryClosure(root, [...sources.values()]);
  await mkdir(join(target, 'lib'), { recursive: true });
  for (const library of libraries) {
    const to = join(target, 'lib', basename(library));
    await copyFile(join(root.path, library), to);
    await chmod(to, 0o755);
  }
  for (const [path, source] of sources) {
    const to = join(target, path);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(source, to);
    await chmod(to, 0o755);
    if ((await libraryClosure(root, [source])).length === 0) continue;
    // An RPATH, unlike a RUNPATH, also serves the libraries' own needs: nothing of the host's glibc is mixed in. The
    // order matters: patchelf 0.18 breaks Go and Node executables when it sets the interpreter first or both at once.
    await root.run('usr/bin/patchelf', ['--force-rpath', '--set-rpath', `${prefix}/lib`, to]);
    await root.run('usr/bin/patchelf', ['--set-interpreter', `${prefix}/lib/${root.architecture.loader}`, to]);
  }
  const ownNode = join(target, 'bin/node');
  await writeFile(ownNode, trimmedElf(await readFile(ownNode)));
  for (const [name, { program, flags }] of Object.entries(hostPrograms)) {
    await cp(join(dist, program), join(target, 'dist', program), { recursive: true });
    const launcher = `#!/bin/sh\nMALLOC_ARENA_MAX=2 exec ${prefix}/bin/node ${flags}${prefix}/dist/${program}/main.mjs "$@"\n`;
    await writeFile(join(target, 'bin', name), launcher, { mode: 0o755 });
  }
}
