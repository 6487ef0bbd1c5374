/** The bundle for the other architecture, as far as a machine can look at it that is not of it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectures, ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { type BuiltBundle, buildBundle } from '../../../src/installer/bundle/build.ts';
import { filesBelow } from '../../../src/installer/bundle/manifest.ts';
import { layersOf } from '../../../src/installer/bundle/oci-layout.ts';
import { openBundle, payloadFiles } from '../../../src/installer/bundle/payload.ts';
import { bundlePrefix } from '../../../src/installer/bundle/run-file.ts';
import { spdxOf } from '../../../src/installer/bundle/sbom.ts';
import { verifyBundle } from '../../../src/installer/bundle/verify.ts';
import { kinitVersion } from '../../../src/machinery/version.ts';

const repository = join(import.meta.dirname, '../../..');
const foreign = architectures.find((each) => each !== ownArchitecture()) ?? ownArchitecture();
const emulator = `qemu-${foreign.machine}-static`;
const emulated = spawnSync(emulator, ['--version']).status === 0;

let folder: string;
let bundle: BuiltBundle;
/** Stands for the host's root: the bundle lies in it where it will be. */
let host: string;
let unpacked: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-foreign-'));
  bundle = await buildBundle({ repository, out: folder, level: 1, architecture: foreign });
  host = join(folder, 'host');
  unpacked = join(host, bundlePrefix);
  for await (const { path, content } of payloadFiles(await openBundle(bundle.path))) {
    const target = join(unpacked, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, await buffer(content), { mode: 0o755 });
  }
}, 300_000);

afterAll(async () => rm(folder, { recursive: true, force: true }));

/** e_machine, for ELF files. */
async function machineOf(path: string): Promise<number | undefined> {
  const file = await open(path);
  try {
    const { buffer: head } = await file.read(Buffer.alloc(20), 0, 20, 0);
    return head.readUInt32BE(0) === 0x7f454c46 ? head.readUInt16LE(18) : undefined;
  } finally {
    await file.close();
  }
}

/** The files of an image of the bundle, as a container sees them. */
async function rootOf(name: string): Promise<string> {
  const image = bundle.manifest.images.find(({ reference }) => reference.includes(`/${name}:`));
  if (!image) throw new Error(`the bundle has no image ${name}`);
  const root = join(folder, name);
  if (existsSync(root)) return root;
  await mkdir(root);
  for (const { path } of await layersOf(join(unpacked, 'images'), image.digest))
    await execa('tar', ['-xf', path, '-C', root]);
  return root;
}

describe(`a bundle for ${foreign.debian}`, () => {
  it('is whole and names its architecture everywhere', async () => {
    expect((await verifyBundle(await openBundle(bundle.path))).problems).toEqual([]);
    expect(bundle.manifest.architecture).toBe(foreign.debian);
    expect(JSON.stringify(spdxOf(bundle.manifest, '2026-01-01T00:00:00Z'))).not.toContain(
      `arch=${ownArchitecture().debian}`,
    );
    const blob = async (digest: string) =>
      JSON.parse(await readFile(join(unpacked, 'images/blobs', digest.replace(':', '/')), 'utf8')) as {
        architecture?: string;
        config: { digest: string };
      };
    const index = JSON.parse(await readFile(join(unpacked, 'images/index.json'), 'utf8')) as {
      manifests: { digest: string; platform: object }[];
    };
    expect(index.manifests).toHaveLength(bundle.manifest.images.length);
    for (const { digest, platform } of index.manifests) {
      expect(platform).toEqual({ architecture: foreign.debian, os: 'linux' });
      expect((await blob((await blob(digest)).config.digest)).architecture).toBe(foreign.debian);
    }
  });

  it('has no program of this machine in it', async () => {
    const roots = [unpacked, ...(await Promise.all(['etcd', 'kube-proxy', 'pause'].map(rootOf)))];
    const machines = new Map<number, string[]>();
    for (const root of roots) {
      for (const path of await filesBelow(root)) {
        const machine = await machineOf(join(root, path));
        if (machine !== undefined) machines.set(machine, [...(machines.get(machine) ?? []), join(root, path)]);
      }
    }
    expect([...machines.keys()]).toEqual([foreign.elf]);
    expect(machines.get(foreign.elf)?.length).toBeGreaterThan(60);
  });

  it('has the trust store that setting up the package would have made', async () => {
    const path = 'etc/ssl/certs/ca-certificates.crt';
    const text = await readFile(join(await rootOf('etcd'), path), 'utf8');
    expect(text.split('BEGIN CERTIFICATE').length).toBeGreaterThan(100);
  });

  const node = `${bundlePrefix}/bin/node`;
  it.skipIf(!emulated).each([
    ['node', [node, '--version'], process.version],
    ['kinit', [node, `${bundlePrefix}/dist/kinit/main.mjs`, 'version'], `kinit ${kinitVersion}`],
    ['kubelet', [node, `${bundlePrefix}/dist/kubelet/main.mjs`, '--version'], 'Kubernetes v1.36'],
    ['containerd', [`${bundlePrefix}/bin/containerd`, '--version'], 'containerd'],
    ['runc', [`${bundlePrefix}/bin/runc`, '--version'], 'runc version'],
    ['kubectl', [`${bundlePrefix}/bin/kubectl`, 'version', '--client'], 'Client Version'],
    ['portmap', [`${bundlePrefix}/cni/bin/portmap`, '--version'], 'CNI portmap plugin'],
  ])(`runs %s under ${emulator} (skipped where that is not installed)`, async (_name, words, expected) => {
    expect(await emulate(host, words)).toContain(expected);
  });

  it.skipIf(!emulated).each([
    ['etcd', ['/usr/bin/etcd', '--version'], 'etcd Version: 3.5'],
    ['kube-proxy', ['/usr/sbin/xtables-legacy-multi', 'iptables', '--version'], 'iptables v1.8'],
    ['kube-apiserver', ['/usr/local/bin/node', '/usr/lib/kinit/apiserver/main.mjs', '--version'], 'Kubernetes v1.36'],
    ['pause', ['/pause', '--version'], ''],
  ])(
    `runs what is in the image %s under ${emulator} (skipped where that is not installed)`,
    async (name, words, expected) => {
      expect(await emulate(await rootOf(name), words)).toContain(expected);
    },
  );
});

/** The emulator takes loader, libraries and whatever else a program opens from `root`, if it is there. */
async function emulate(root: string, words: string[]): Promise<string> {
  const { all } = await execa(
    emulator,
    ['-L', root, ...words.map((word) => (word.startsWith('/') ? join(root, word) : word))],
    {
      all: true,
      timeout: 60_000,
    },
  );
  return all;
}
