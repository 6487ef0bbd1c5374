/** Image archives of other tools (`docker save`, `podman save`, OCI layouts in a tar) into an OCI layout on disk. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract } from 'tar-stream';
import { KinitError } from '../errors.ts';
import { type Architecture, ownArchitecture } from './architecture.ts';

export interface FoundImage {
  /** As containerd calls it: with registry and tag. */
  reference: string;
  digest: string;
  size: number;
  mediaType: string;
}

interface Descriptor {
  mediaType?: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: { architecture?: string; os?: string };
}

interface DockerImage {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const isIndex = (type: string | undefined) => /image\.index|manifest\.list/.test(type ?? '');

/** `nginx:1.27` → `docker.io/library/nginx:1.27`, as the kubelet's runtime calls it. */
export function fullReference(name: string): string {
  const [, path = name, rest = ''] = /^(.+?)((?::[^/:@]+)?(?:@sha256:[0-9a-f]{64})?)$/.exec(name) ?? [];
  const first = path.split('/')[0] ?? '';
  const hasRegistry = path.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  const withRegistry = hasRegistry ? path : path.includes('/') ? `docker.io/${path}` : `docker.io/library/${path}`;
  return `${withRegistry}${rest || ':latest'}`;
}

function refused(archive: string, why: string, advice?: string): KinitError {
  return new KinitError('Validation', `${archive}: ${why}`, {
    advice: advice ?? 'give it the output of docker save, podman save, or an OCI layout in a tar',
  });
}

async function openArchive(path: string): Promise<Readable> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw refused(path, `cannot be read: ${error.code}`, 'check the path');
  });
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0).finally(() => handle.close());
  const source = createReadStream(path, { highWaterMark: 1 << 20 });
  const filter =
    buffer.readUInt16BE(0) === 0x1f8b
      ? createGunzip()
      : buffer.readUInt32LE(0) === 0xfd2fb528
        ? createZstdDecompress()
        : undefined;
  if (!filter) return source;
  source.on('error', (error) => filter.destroy(error));
  return source.pipe(filter);
}

interface Unpacked {
  /** Path within the archive → digest and size of its content, which lies in the layout's blobs. */
  files: Map<string, { digest: string; size: number }>;
  links: Map<string, string>;
}

/** Every file of the archive as a blob: names are checked against their content afterwards. */
async function unpack(archive: string, blobs: string): Promise<Unpacked> {
  const files: Unpacked['files'] = new Map();
  const links: Unpacked['links'] = new Map();
  const tar = extract();
  const read = pipeline(await openArchive(archive), tar);
  read.catch(() => undefined);
  try {
    for await (const entry of tar) {
      const { name, type, linkname } = entry.header;
      const path = posix.normalize(name).replace(/^\.\//, '');
      if (type === 'file') files.set(path, await storeBlob(entry as AsyncIterable<Buffer>, blobs));
      else entry.resume();
      if (type === 'symlink' && linkname) links.set(path, posix.join(posix.dirname(path), linkname));
      if (type === 'link' && linkname) links.set(path, posix.normalize(linkname));
    }
    await read;
  } catch (error) {
    throw refused(archive, `is no archive of images: ${(error as Error).message}`);
  }
  return { files, links };
}

async function storeBlob(content: AsyncIterable<Buffer>, blobs: string): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const draft = join(blobs, `.draft-${process.pid}-${Math.random().toString(36).slice(2)}`);
  async function* measured() {
    for await (const chunk of content) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  await pipeline(measured, createWriteStream(draft));
  const hex = hash.digest('hex');
  await rename(draft, join(blobs, hex));
  return { digest: `sha256:${hex}`, size };
}

/**
 * Puts the blobs of an archive's images into `layout/blobs`; the layout's index stays as it is.
 * @param name the image's reference, for an archive that does not say it
 * @param architecture of images for several platforms, the one to take
 */
export async function importArchive(
  archive: string,
  layout: string,
  name?: string,
  { debian }: Architecture = ownArchitecture(),
): Promise<FoundImage[]> {
  const blobs = join(layout, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const unpacked = await unpack(archive, blobs);
  const blobText = (digest: string) => readFile(join(blobs, digest.replace('sha256:', '')), 'utf8');
  for (const [path, { digest }] of unpacked.files) {
    const claimed = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1];
    if (claimed && `sha256:${claimed}` !== digest) throw refused(archive, `the blob ${claimed} is damaged`);
  }
  const index = unpacked.files.get('index.json');
  const docker = unpacked.files.get('manifest.json');
  const found = index
    ? await fromIndex(archive, JSON.parse(await blobText(index.digest)), debian, blobs, blobText, name)
    : docker
      ? await fromDocker(archive, JSON.parse(await blobText(docker.digest)), unpacked, blobs, name)
      : undefined;
  if (!found) throw refused(archive, 'has neither index.json nor manifest.json');
  if (!found.length) throw refused(archive, `has no image for linux/${debian}`);
  return found;
}

async function fromIndex(
  archive: string,
  { manifests = [] }: { manifests?: Descriptor[] },
  architecture: string,
  blobs: string,
  blobText: (digest: string) => Promise<string>,
  given: string | undefined,
): Promise<FoundImage[]> {
  const found: FoundImage[] = [];
  for (const descriptor of manifests) {
    const { annotations } = descriptor;
    const tag = annotations?.['org.opencontainers.image.ref.name'];
    const named = given ?? annotations?.['io.containerd.image.name'] ?? (tag && /[/:]/.test(tag) ? tag : undefined);
    if (!named) {
      const hint = tag ? `: its index says only "${tag}"` : '';
      throw refused(archive, `does not say what the image is called${hint}`, 'say it with --name');
    }
    if (given && manifests.length > 1) throw refused(archive, 'has several images: --name cannot name them all');
    const chosen = await forPlatform(descriptor, architecture, blobText);
    if (!chosen) continue;
    await checkBlobs(archive, chosen.digest, blobs);
    const { digest, size, mediaType = manifestType } = chosen;
    found.push({ reference: fullReference(named), digest, size, mediaType });
  }
  return found;
}

/** Of an image for several platforms, the one of the bundle. */
async function forPlatform(
  descriptor: Descriptor,
  architecture: string,
  blobText: (digest: string) => Promise<string>,
): Promise<Descriptor | undefined> {
  const { platform } = descriptor;
  if (platform && (platform.os ?? 'linux') !== 'linux') return undefined;
  if (platform?.architecture && platform.architecture !== architecture) return undefined;
  if (!isIndex(descriptor.mediaType)) return descriptor;
  const { manifests = [] } = JSON.parse(await blobText(descriptor.digest).catch(() => '{}')) as {
    manifests?: Descriptor[];
  };
  for (const below of manifests) {
    const chosen = await forPlatform(below, architecture, blobText);
    if (chosen) return chosen;
  }
  return undefined;
}

async function checkBlobs(archive: string, digest: string, blobs: string): Promise<void> {
  for (const blob of await blobsOfImage(blobs, digest)) {
    if (!existsSync(join(blobs, blob.replace('sha256:', ''))))
      throw refused(archive, `lacks ${blob}: it was not saved completely`);
  }
}

/** Digests of everything that an image consists of, its manifest first. */
export async function blobsOfImage(blobs: string, digest: string): Promise<string[]> {
  const path = join(blobs, digest.replace('sha256:', ''));
  if (!existsSync(path)) return [digest];
  const { config, layers = [] } = JSON.parse(await readFile(path, 'utf8')) as {
    config?: Descriptor;
    layers?: Descriptor[];
  };
  return [digest, ...(config ? [config.digest] : []), ...layers.map((layer) => layer.digest)];
}

async function fromDocker(
  archive: string,
  images: DockerImage[],
  { files, links }: Unpacked,
  blobs: string,
  given: string | undefined,
): Promise<FoundImage[]> {
  const blob = (path: string) => {
    const found = files.get(path) ?? files.get(links.get(path) ?? '');
    if (!found) throw refused(archive, `lacks ${path}: it was not saved completely`);
    return found;
  };
  const found: FoundImage[] = [];
  if (given && images.length > 1) throw refused(archive, 'has several images: --name cannot name them all');
  for (const { Config, RepoTags, Layers } of images) {
    const names = given ? [given] : (RepoTags ?? []);
    if (!names.length) throw refused(archive, 'does not say what the image is called', 'say it with --name');
    const layers = await Promise.all(
      Layers.map(async (path) => {
        const layer = blob(path);
        return { mediaType: await layerTypeOf(join(blobs, layer.digest.replace('sha256:', ''))), ...layer };
      }),
    );
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...blob(Config) };
    const text = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers });
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    await writeFile(join(blobs, digest.replace('sha256:', '')), text);
    for (const name of names) {
      found.push({ reference: fullReference(name), digest, size: Buffer.byteLength(text), mediaType: manifestType });
    }
  }
  return found;
}

async function layerTypeOf(path: string): Promise<string> {
  const handle = await open(path);
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0).finally(() => handle.close());
  const base = 'application/vnd.oci.image.layer.v1.tar';
  if (buffer.readUInt16BE(0) === 0x1f8b) return `${base}+gzip`;
  return buffer.readUInt32LE(0) === 0xfd2fb528 ? `${base}+zstd` : base;
}
