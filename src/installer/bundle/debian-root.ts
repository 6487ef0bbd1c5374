/**
 * A minimal Debian stable root file system, the source of every third-party program in the bundle.
 *
 * It is made once by mmdebstrap from the machine's default mirror and cached by suite and package list. Programs inside it are run
 * with its own loader, so that the building machine may be any Linux. The root of another architecture is only unpacked: nothing
 * in it is run, and what runs here comes from the machine's own root.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Architecture, ownArchitecture } from './architecture.ts';
import { unpackForeignRoot } from './foreign-root.ts';

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

export interface DebianRoot {
  path: string;
  architecture: Architecture;
  /** Version of each installed package. */
  versions: Map<string, string>;
  /** Which package a path (`/usr/bin/etcd`) belongs to. */
  ownerOf(path: string): string | undefined;
  /** Runs a program of the building machine's root with that root's own libraries, on paths of this machine. */
  run(program: string, args: string[]): Promise<string>;
}

/** Makes the root below `cache`, or opens the one that is there. */
export async function openDebianRoot(
  cache: string,
  log: (line: string) => void,
  architecture = ownArchitecture(),
): Promise<DebianRoot> {
  const own = ownArchitecture();
  const foreign = architecture !== own;
  const { debian, triplet, loader } = architecture;
  const key = createHash('sha256')
    .update(JSON.stringify([suite, { debian, triplet, loader }, packages, ...(foreign ? ['unpacked'] : [])]))
    .digest('hex')
    .slice(0, 12);
  const path = join(cache, `debian-${suite}-${key}`);
  if (!existsSync(path)) await makeRoot(path, architecture, foreign, log);
  const tools = foreign ? (await openDebianRoot(cache, log, own)).path : path;
  return {
    path,
    architecture,
    versions: await readVersions(path),
    ownerOf: await readOwners(path),
    run: async (program, args) => {
      const libraries = join(tools, 'usr/lib', own.triplet);
      const { stdout } = await execa(join(libraries, own.loader), [
        '--library-path',
        libraries,
        join(tools, program),
        ...args,
      ]);
      return stdout;
    },
  };
}

async function makeRoot(
  path: string,
  { debian }: Architecture,
  foreign: boolean,
  log: (line: string) => void,
): Promise<void> {
  const draft = `${path}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(path, '..'), { recursive: true });
  log(`making a Debian ${suite} root for ${debian} with ${packages.length} packages`);
  const made = foreign
    ? unpackForeignRoot({ suite, architecture: debian, packages, target: draft })
    : execa('mmdebstrap', [
        '--variant=minbase',
        `--architectures=${debian}`,
        `--include=${packages.join(',')}`,
        suite,
        draft,
      ]);
  await made.catch((error: unknown) => {
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
