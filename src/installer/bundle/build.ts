/** `kinit bundle build`: everything a cluster needs, in one file. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { kinitVersion } from '../../machinery/version.ts';
import { type Architecture, ownArchitecture } from './architecture.ts';
import { buildImages, programImages } from './catalog.ts';
import { bundledLibraries, withContents } from './contents.ts';
import { type DebianRoot, openDebianRoot } from './debian-root.ts';
import { libraryClosure } from './elf-closure.ts';
import { hostBinaries, hostPrograms, layHostFiles } from './host-files.ts';
import { type BundleManifest, writeManifest } from './manifest.ts';
import { nodeFor } from './node-program.ts';
import { layParts } from './parts.ts';
import { bundlePrefix, type RunFileInfo, runFileName, writeRunFile } from './run-file.ts';

export interface BuildOptions {
  /** The checkout: its dist/ must have been built. */
  repository: string;
  /** Folder for the finished `.run` file. */
  out: string;
  /** zstd level: 1 to 19. */
  level?: number;
  /** Default: that of this machine. */
  architecture?: Architecture;
  log?: (line: string) => void;
}

export interface BuiltBundle extends RunFileInfo {
  path: string;
  manifest: BundleManifest;
}

/** Builds the bundle. The same checkout and the same Debian root give the same payload. */
export async function buildBundle({
  repository,
  out,
  level = 12,
  architecture = ownArchitecture(),
  log = () => undefined,
}: BuildOptions): Promise<BuiltBundle> {
  const dist = join(repository, 'dist');
  const programs = [
    ...programImages.map((image) => image.program),
    ...Object.values(hostPrograms).map((p) => p.program),
  ];
  for (const program of programs) {
    if (!existsSync(join(dist, program, 'main.mjs'))) {
      throw new Error(`${join(dist, program, 'main.mjs')} is missing; run: npm run build`);
    }
  }
  const cache = join(repository, '.cache/bundle');
  const root = await openDebianRoot(cache, log, architecture);
  const node = await nodeFor(architecture, repository, cache, log);
  await sweepWork(cache);
  const work = join(cache, `work-${process.pid}`);
  const target = join(work, 'payload');
  await mkdir(target, { recursive: true });

  log('laying programs for the host');
  await layHostFiles(target, bundlePrefix, { root, node, dist });
  log('building images');
  const images = await buildImages(join(target, 'images'), { root, node, dist });
  const origin = await originOf(root, repository);
  const records = await withContents(join(target, 'images'), images, (path) => origin(layerOrigin[path] ?? path));
  const manifest = await writeManifest(
    target,
    architecture.debian,
    records,
    await bundledLibraries(repository),
    (path) => origin(hostBinaries[path] ?? hostLibrary(path, architecture)),
  );

  log('compressing');
  const own = await openDebianRoot(cache, log);
  const parts = [];
  for (const { name, paths } of await layParts(target, manifest, images)) {
    const part = join(work, `${name}.tar.zst`);
    await compress(own, target, part, level, paths);
    parts.push({ name, path: part });
  }
  const decoder = await packDecoder(root, work);
  await mkdir(out, { recursive: true });
  const path = join(out, runFileName(architecture));
  const info = await writeRunFile(path, architecture, decoder, ...parts);
  await rm(work, { recursive: true, force: true });
  return { ...info, path, manifest };
}

/** Folders of builds that were interrupted. */
async function sweepWork(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const [, pid] = /^work-(\d+)$/.exec(name) ?? [];
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

/** How far back zstd looks for what it has seen: 128 MB, which is also the memory that unpacking takes. */
const windowBits = 27;

async function compress(
  { path, architecture }: DebianRoot,
  folder: string,
  to: string,
  level: number,
  files: string[],
): Promise<void> {
  const libraries = join(path, 'usr/lib', architecture.triplet);
  const zstd = `${join(libraries, architecture.loader)} --library-path ${libraries} ${join(path, 'usr/bin/zstd')}`;
  await tar(`${zstd} -q -${level} --long=${windowBits} -T2`, folder, to, files);
}

/** A deterministic tar of a folder, or of the named files in it, through a compressor. */
async function tar(compressor: string, folder: string, to: string, files?: string[]): Promise<void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner'];
  const options = ['--sort=name', '--mtime=@0', ...owner, '--format=gnu', '-I', compressor, '-cf', to, '-C', folder];
  const what = files ? ['--no-recursion', '--verbatim-files-from', '--files-from=-'] : ['.'];
  await execa('tar', [...options, ...what], files ? { input: `${files.join('\n')}\n` } : {});
}

/** zstd with its loader and libraries, for hosts that have none. */
async function packDecoder(root: DebianRoot, work: string): Promise<string> {
  const folder = join(work, 'decoder');
  await mkdir(folder, { recursive: true });
  const zstd = join(root.path, 'usr/bin/zstd');
  await copyFile(zstd, join(folder, 'zstd'));
  for (const library of await libraryClosure(root, [zstd])) {
    const name = basename(library);
    await copyFile(join(root.path, library), join(folder, name === root.architecture.loader ? 'loader' : name));
  }
  const archive = join(work, 'decoder.tar.gz');
  await tar('gzip -9n', folder, archive);
  return archive;
}

async function originOf(root: DebianRoot, repository: string) {
  const nodePackage = JSON.parse(await readFile(join(repository, 'node_modules/node/package.json'), 'utf8')) as {
    version: string;
  };
  const own = { origin: 'kinit', version: kinitVersion };
  return (path: string) => {
    if (/(^|\/)bin\/node$/.test(path)) return { origin: 'npm:node', version: nodePackage.version };
    const name = root.ownerOf(`/${path}`);
    return name ? { origin: `debian:${name}`, version: root.versions.get(name) ?? 'unknown' } : own;
  };
}

/** Libraries lie flat in the bundle. */
const hostLibrary = (path: string, architecture: Architecture): string =>
  path.startsWith('lib/') ? `usr/lib/${architecture.triplet}/${basename(path)}` : path;

/** Files of images that Debian has elsewhere. */
const layerOrigin: Record<string, string> = { pause: 'usr/bin/catatonit' };
