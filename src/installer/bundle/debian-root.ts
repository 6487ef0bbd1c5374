/**
 * A minimal Debian stable root file system, the source of every third-party program in the bundle.
 *
 * It is made once by mmdebstrap from the machine's default mirror and cached by suite and package list. Programs inside it are run
 * with its own loader, so that the building machine may be any Linux.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const suite = 'trixie';

const packages = [
  'busybox-static',
  'ca-certificates',
  'catatonit',
  'conntrack',
  'containerd',
  'containernetworking-plugins',
  'etcd-client',
  'etcd-server',
  'iproute2',
  'iptables',
  'kubernetes-client',
  'libstdc++6',
  'nftables',
  'patchelf',
  'runc',
  'zstd',
];

/** The multiarch triplet and the loader of the architecture that is built. */
export const architecture = { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' };

export interface DebianRoot {
  path: string;
  /** Version of each installed package. */
  versions: Map<string, string>;
  /** Which package a path (`/usr/bin/etcd`) belongs to. */
  ownerOf(path: string): string | undefined;
  /** Runs a program of the root with the root's own libraries, on paths of this machine. */
  run(program: string, args: string[]): Promise<string>;
}

/** Makes the root below `cache`, or opens the one that is there. */
export async function openDebianRoot(cache: string, log: (line: string) => void): Promise<DebianRoot> {
  const key = createHash('sha256')
    .update(JSON.stringify([suite, architecture, packages]))
    .digest('hex')
    .slice(0, 12);
  const path = join(cache, `debian-${suite}-${key}`);
  if (!existsSync(path)) await makeRoot(path, log);
  return {
    path,
    versions: await readVersions(path),
    ownerOf: await readOwners(path),
    run: async (program, args) => {
      const libraries = join(path, 'usr/lib', architecture.triplet);
      const { stdout } = await execa(join(libraries, architecture.loader), [
        '--library-path',
        libraries,
        join(path, program),
        ...args,
      ]);
      return stdout;
    },
  };
}

async function makeRoot(path: string, log: (line: string) => void): Promise<void> {
  const draft = `${path}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(path, '..'), { recursive: true });
  log(`making a Debian ${suite} root with ${packages.length} packages`);
  await execa('mmdebstrap', [
    '--variant=minbase',
    `--architectures=${architecture.debian}`,
    `--include=${packages.join(',')}`,
    suite,
    draft,
  ]).catch((error: unknown) => {
    const detail = error instanceof Error ? error.message : String(error);
    throw new Error(
      `mmdebstrap could not make the Debian ${suite} root that the bundle's programs come from: ${detail}`,
    );
  });
  await rename(draft, path);
}

/** dpkg's own records: `Package:` and `Version:` of each stanza of its status file. */
async function readVersions(root: string): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  const status = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8');
  for (const stanza of status.split('\n\n')) {
    const name = /^Package: (.+)$/m.exec(stanza)?.[1];
    const version = /^Version: (.+)$/m.exec(stanza)?.[1];
    if (name && version) versions.set(name, version);
  }
  return versions;
}

async function readOwners(root: string): Promise<(path: string) => string | undefined> {
  const info = join(root, 'var/lib/dpkg/info');
  const owners = new Map<string, string>();
  for (const file of await readdir(info)) {
    if (!file.endsWith('.list')) continue;
    const name = file.slice(0, -'.list'.length).split(':')[0] as string;
    for (const line of (await readFile(join(info, file), 'utf8')).split('\n')) owners.set(line, name);
  }
  return (path) => owners.get(path) ?? owners.get(path.replace(/^\/usr\//, '/'));
}
