/** What each image of the bundle holds and runs: the table that `build.ts` turns into an OCI layout. */
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { DebianRoot } from './debian-root.ts';
import { libraryClosure } from './elf-closure.ts';
import { trimmedElf } from './elf-trim.ts';
import { type ImageName, imageReference } from './image-names.ts';
import { type ArchiveEntry, directory, file, folderEntries, symlink } from './layer.ts';
import { addImage, addLayer, createLayout, type ImageConfig, type ImageSummary } from './oci-layout.ts';

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A program of ours: the folder in dist/ and the upstream name that it answers to. */
interface ProgramImage {
  image: ImageName;
  program: string;
  command: string;
  /** V8 flags that keep it small; see docs/architecture.md. */
  nodeOptions?: string;
  /** Programs of the Debian root that it calls. */
  tools?: string[];
}

const small = '--max-semi-space-size=1 --max-old-space-size=';
/** The young generation would grow to 16 MB three times over; 2 MB leave an idle program small and cost busy ones little. */
const young = '--max-semi-space-size=2';

export const programImages: ProgramImage[] = [
  { image: 'kube-apiserver', program: 'apiserver', command: 'kube-apiserver', nodeOptions: young },
  {
    image: 'kube-controller-manager',
    program: 'controller-manager',
    command: 'kube-controller-manager',
    nodeOptions: young,
  },
  { image: 'kube-scheduler', program: 'scheduler', command: 'kube-scheduler', nodeOptions: young },
  {
    image: 'kube-proxy',
    program: 'proxy',
    command: 'kube-proxy',
    nodeOptions: `${small}256`,
    tools: ['iptables', 'nft', 'conntrack'],
  },
  {
    image: 'kinit-network',
    program: 'network',
    command: 'kinit-network',
    nodeOptions: `${small}128`,
    tools: ['iptables', 'ip'],
  },
  {
    image: 'local-path-provisioner',
    program: 'local-path',
    command: 'local-path-provisioner',
    nodeOptions: `${small}128`,
  },
  { image: 'coredns/coredns', program: 'dns', command: 'coredns', nodeOptions: `${small}128` },
  { image: 'metrics-server', program: 'metrics-server', command: 'metrics-server', nodeOptions: `${small}128` },
];

/** Each thread would have an arena of its own that never shrinks. */
export const mallocArenas = 'MALLOC_ARENA_MAX=2';

/** Tools by name: binaries, the names they answer to, and the folder among the libraries of what they load. */
const toolFiles: Record<string, { binaries: string[]; links?: Record<string, string>; plugins?: string }> = {
  iptables: {
    binaries: ['usr/sbin/xtables-nft-multi', 'usr/sbin/xtables-legacy-multi'],
    links: Object.fromEntries(
      ['iptables', 'ip6tables'].flatMap((family) =>
        ['', '-save', '-restore'].flatMap((verb) => [
          [`usr/sbin/${family}${verb}`, 'xtables-nft-multi'],
          [`usr/sbin/${family}-nft${verb}`, 'xtables-nft-multi'],
          [`usr/sbin/${family}-legacy${verb}`, 'xtables-legacy-multi'],
        ]),
      ),
    ),
    plugins: 'xtables',
  },
  nft: { binaries: ['usr/sbin/nft'] },
  conntrack: { binaries: ['usr/sbin/conntrack'] },
  ip: { binaries: ['usr/bin/ip', 'usr/sbin/bridge'], links: { 'usr/sbin/ip': '../bin/ip' } },
};

/** Programs with the libraries that they need, as entries of a layer. */
async function programEntries(root: DebianRoot, binaries: string[]): Promise<ArchiveEntry[]> {
  const libraries = await libraryClosure(
    root,
    binaries.map((binary) => join(root.path, binary)),
  );
  return [
    ...binaries.map((binary) => file(binary, join(root.path, binary), 0o755)),
    ...libraries.map((library) => file(library, join(root.path, library), 0o755)),
  ];
}

async function toolEntries(root: DebianRoot, names: string[]): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  for (const name of names) {
    const tool = toolFiles[name];
    if (!tool) throw new Error(`no tool named ${name}`);
    entries.push(...(await programEntries(root, tool.binaries)));
    for (const [link, target] of Object.entries(tool.links ?? {})) entries.push(symlink(link, target));
    if (tool.plugins) {
      const folder = join('usr/lib', root.architecture.triplet, tool.plugins);
      const plugins = (await readdir(join(root.path, folder))).filter((plugin) => plugin.endsWith('.so'));
      entries.push(
        ...(await programEntries(
          root,
          plugins.map((plugin) => join(folder, plugin)),
        )),
      );
    }
  }
  return entries;
}

/** The merged-usr skeleton, users, trust store and C library that every image but pause stands on. */
export async function systemEntries(root: DebianRoot): Promise<ArchiveEntry[]> {
  const { triplet, loader, loaderPath } = root.architecture;
  return [
    symlink('bin', 'usr/bin'),
    symlink('sbin', 'usr/sbin'),
    symlink('lib', 'usr/lib'),
    symlink('lib64', 'usr/lib64'),
    directory('usr/bin'),
    directory('usr/sbin'),
    symlink(loaderPath, posix.relative(posix.dirname(loaderPath), `usr/lib/${triplet}/${loader}`)),
    { type: 'directory', path: 'tmp', mode: 0o1777 },
    directory('var/lib'),
    directory('run'),
    symlink('var/run', '/run'),
    file(
      'etc/passwd',
      Buffer.from('root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n'),
    ),
    file('etc/group', Buffer.from('root:x:0:\nnonroot:x:65532:\n')),
    file('etc/nsswitch.conf', Buffer.from('hosts: files dns\n')),
    file('etc/ssl/certs/ca-certificates.crt', join(root.path, 'etc/ssl/certs/ca-certificates.crt')),
    file(`usr/lib/${triplet}/${loader}`, join(root.path, 'usr/lib', triplet, loader), 0o755),
    file(`usr/lib/${triplet}/libc.so.6`, join(root.path, 'usr/lib', triplet, 'libc.so.6'), 0o755),
  ];
}

export async function nodeEntries(root: DebianRoot, node: string): Promise<ArchiveEntry[]> {
  const libraries = await libraryClosure(root, [node]);
  return [
    file('usr/local/bin/node', trimmedElf(await readFile(node)), 0o755),
    ...libraries.map((library) => file(library, join(root.path, library), 0o755)),
  ];
}

export interface ImageSources {
  root: DebianRoot;
  /** The Node executable that images run on. */
  node: string;
  /** The build's output: a folder per program. */
  dist: string;
}

/** Writes all images of the bundle into an OCI layout; the same sources give the same digests. */
export async function buildImages(layout: string, { root, node, dist }: ImageSources): Promise<ImageSummary[]> {
  await createLayout(layout);
  const system = await addLayer(layout, await systemEntries(root));
  const runtime = await addLayer(layout, await nodeEntries(root, node));
  const platform = { architecture: root.architecture.debian, os: 'linux' };
  const built: ImageSummary[] = [];
  const add = async (image: ImageName, layers: Parameters<typeof addImage>[2], config: ImageConfig) => {
    built.push(await addImage(layout, imageReference(image), layers, config, platform));
  };
  for (const { image, program, command, nodeOptions, tools } of programImages) {
    const layers = [system, runtime];
    if (tools) layers.push(await addLayer(layout, await toolEntries(root, tools)));
    layers.push(
      await addLayer(layout, [
        ...(await folderEntries(join(dist, program), `usr/lib/kinit/${program}`)),
        symlink(`usr/local/bin/${command}`, `../../lib/kinit/${program}/main.mjs`),
      ]),
    );
    const env = [path, mallocArenas, ...(nodeOptions ? [`NODE_OPTIONS=${nodeOptions}`] : [])];
    await add(image, layers, { Entrypoint: [`/usr/local/bin/${command}`], Env: env });
  }
  const etcd = await addLayer(layout, [
    ...(await programEntries(root, ['usr/bin/etcd', 'usr/bin/etcdctl'])),
    symlink('usr/local/bin/etcd', '../../bin/etcd'),
    symlink('usr/local/bin/etcdctl', '../../bin/etcdctl'),
  ]);
  await add('etcd', [system, etcd], { Entrypoint: ['/usr/local/bin/etcd'], Env: [path] });
  // catatonit -P is a static program that does what pause does: waits, and reaps what is left to it.
  const pause = await addLayer(layout, [file('pause', await readFile(join(root.path, 'usr/bin/catatonit')), 0o755)]);
  await add('pause', [pause], { Entrypoint: ['/pause', '-P'], User: '65535:65535' });
  return built;
}
