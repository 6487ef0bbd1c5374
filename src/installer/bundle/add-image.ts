/** Puts images into a bundle that is there already: every node loads them beside kinit's own. */
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { pack } from 'tar-stream';
import { kinitVersion } from '../../machinery/version.ts';
import { KinitError } from '../errors.ts';
import { architectureNamed } from './architecture.ts';
import { blobsOfImage, type FoundImage, importArchive } from './image-archive.ts';
import { type BundleManifest, formatManifest, sha256OfFile } from './manifest.ts';
import { addedMark } from './oci-layout.ts';
import { formatList, listFiles, listPath } from './parts.ts';
import { damaged, type OpenBundle, openBundle, parseManifest, readManifest, readPayload } from './payload.ts';
import { type NewPart, writeRunFile } from './run-file.ts';

export interface AddedImages {
  images: FoundImage[];
  /** Bytes that the bundle grew by. */
  grown: number;
}

interface IndexEntry {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

/** @param out the new bundle; may be the old one. A folder is changed in place */
export async function addImages(
  path: string,
  archives: readonly { path: string; name?: string }[],
  out: string,
): Promise<AddedImages> {
  const bundle = await openBundle(path);
  if (bundle.run && bundle.run.version !== kinitVersion) {
    throw new KinitError('Bundle', `${path} is of kinit ${bundle.run.version}; this is ${kinitVersion}`, {
      advice: 'use the kinit of that version',
    });
  }
  const work = await mkdtemp(join(tmpdir(), 'kinit-add-image-'));
  try {
    const layout = join(work, 'layout');
    const images: FoundImage[] = [];
    const architecture = bundle.run?.architecture ?? architectureNamed((await readManifest(bundle)).architecture);
    for (const { path: archive, name } of archives) {
      images.push(...(await importArchive(archive, layout, name, architecture)));
    }
    const files = await newFiles(bundle, images, join(layout, 'blobs/sha256'), work);
    if (bundle.run) return { images, grown: await appendFiles(bundle, files, out, work) };
    let grown = 0;
    for (const [name, source] of files) {
      await mkdir(join(path, name, '..'), { recursive: true });
      await copyFile(source, join(path, name));
      grown += (await stat(source)).size;
    }
    return { images, grown };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Path within the bundle → file: blobs that it lacks, the changed index, the changed manifest. */
async function newFiles(
  bundle: OpenBundle,
  images: readonly FoundImage[],
  blobs: string,
  work: string,
): Promise<Map<string, string>> {
  const texts = await readPayload(bundle, (path) => path === 'manifest.json' || path === 'images/index.json');
  const manifestText = texts.get('manifest.json');
  if (manifestText === undefined) throw damaged(bundle, 'it has no manifest.json');
  const manifest = parseManifest(manifestText, bundle);
  const index = JSON.parse(texts.get('images/index.json') ?? '{"schemaVersion":2,"manifests":[]}') as {
    manifests: IndexEntry[];
  };
  const present = new Set(manifest.files.map(({ path }) => path));
  const files = new Map<string, string>();
  for (const { reference, digest, size, mediaType } of images) {
    if (manifest.images.some((image) => image.reference === reference && !image.added)) {
      throw new KinitError('Validation', `${reference} is one of kinit's own images`, {
        advice: 'give yours another name with --name',
      });
    }
    const annotations = { 'io.containerd.image.name': reference, [addedMark]: 'true' };
    index.manifests = index.manifests.filter((entry) => entry.annotations?.['io.containerd.image.name'] !== reference);
    index.manifests.push({ mediaType, digest, size, annotations });
    manifest.images = manifest.images.filter((image) => image.reference !== reference);
    manifest.images.push({ reference, digest, added: true });
    for (const blob of await blobsOfImage(blobs, digest)) {
      const hex = blob.replace('sha256:', '');
      const path = `images/blobs/sha256/${hex}`;
      if (present.has(path)) continue;
      present.add(path);
      const source = join(blobs, hex);
      files.set(path, source);
      const version = reference.slice(reference.lastIndexOf(':') + 1);
      const { size: bytes } = await stat(source);
      manifest.files.push({ path, sha256: hex, size: bytes, origin: `image:${reference}`, version });
    }
  }
  await recordChanged(manifest, index, files, work);
  return files;
}

async function recordChanged(
  manifest: BundleManifest,
  index: object,
  files: Map<string, string>,
  work: string,
): Promise<void> {
  const indexFile = join(work, 'index.json');
  await writeFile(indexFile, `${JSON.stringify(index)}\n`);
  files.set('images/index.json', indexFile);
  const record = manifest.files.find(({ path }) => path === 'images/index.json');
  if (record) {
    record.sha256 = await sha256OfFile(indexFile);
    record.size = (await stat(indexFile)).size;
  }
  manifest.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  manifest.images.sort((a, b) => (a.reference < b.reference ? -1 : 1));
  const manifestFile = join(work, 'manifest.json');
  await writeFile(manifestFile, formatManifest(manifest));
  files.set('manifest.json', manifestFile);
}

/** A further part before the lists, which are written anew; nothing is compressed again. */
async function appendFiles(
  { run }: OpenBundle,
  files: ReadonlyMap<string, string>,
  out: string,
  work: string,
): Promise<number> {
  if (!run) return 0;
  const kept = run.parts.filter(({ name }) => name !== 'manifest');
  const added = `added-${kept.length}`;
  const isList = (path: string) => listFiles.includes(path);
  const blobs = [...files].filter(([path]) => !isList(path));
  const parts = [
    ...kept,
    ...(blobs.length ? [await packPart(added, blobs, work)] : []),
    await packPart(
      'manifest',
      [...files].filter(([path]) => isList(path)),
      work,
    ),
  ];
  const { size } = await writeRunFile(out, run.architecture, run.decoder, ...parts);
  return size - run.size;
}

async function packPart(name: string, files: readonly [string, string][], work: string): Promise<NewPart> {
  const archive = join(work, `${name}.tar.zst`);
  const list = join(work, `${name}.list`);
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const sums = await Promise.all(sorted.map(async ([path, source]) => ({ path, sha256: await sha256OfFile(source) })));
  await writeFile(list, formatList(sums));
  const tar = pack();
  const compress = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 9, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const written = pipeline(tar, compress, createWriteStream(archive));
  for (const [path, source] of [[listPath(name), list] as const, ...sorted]) {
    const { size } = await stat(source);
    const entry = tar.entry({ name: path, size, mode: 0o644, mtime: new Date(0), uname: '', gname: '' });
    await pipeline(createReadStream(source, { highWaterMark: 1 << 20 }), entry);
  }
  tar.finalize();
  await written;
  return { name, path: archive };
}
