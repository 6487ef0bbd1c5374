/**
 * An OCI image layout on disk: `oci-layout`, `index.json`, `blobs/sha256/…`. Images share their blobs; a node gets
 * only those that it needs, as one tar stream for `ctr images import -`.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { ownArchitecture } from './architecture.ts';
import { type ArchiveEntry, type WrittenLayer, writeLayer } from './layer.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar';

/** Annotation of images that are not kinit's own: every node loads them. */
export const addedMark = 'kinit.local/added';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

interface Platform {
  architecture: string;
  os: string;
}

interface Index {
  schemaVersion: 2;
  mediaType: string;
  manifests: Descriptor[];
}

/** What a container of the image runs, in OCI's terms. */
export interface ImageConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
}

export interface ImageSummary {
  reference: string;
  digest: string;
}

const blobPath = (layout: string, digest: string) => join(layout, 'blobs/sha256', digest.replace('sha256:', ''));

export async function createLayout(layout: string): Promise<void> {
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
}

export function addLayer(layout: string, entries: ArchiveEntry[]): Promise<WrittenLayer> {
  return writeLayer(entries, join(layout, 'blobs/sha256'));
}

async function addJson(layout: string, mediaType: string, value: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(blobPath(layout, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

/** Adds an image made of layers that are in the layout already, lowest first. */
export async function addImage(
  layout: string,
  reference: string,
  layers: WrittenLayer[],
  config: ImageConfig,
  platform: Platform = { architecture: ownArchitecture().debian, os: 'linux' },
): Promise<ImageSummary> {
  const configDescriptor = await addJson(layout, configType, {
    created: '1970-01-01T00:00:00Z',
    ...platform,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'kinit' })),
  });
  const manifest = await addJson(layout, manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: configDescriptor,
    layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
  });
  const index = await readIndex(layout);
  const annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
  };
  index.manifests = index.manifests.filter((m) => m.annotations?.['io.containerd.image.name'] !== reference);
  index.manifests.push({ ...manifest, platform, annotations });
  index.manifests.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  await writeIndex(layout, index);
  return { reference, digest: manifest.digest };
}

const nameOf = (descriptor: Descriptor) => descriptor.annotations?.['io.containerd.image.name'] ?? '';

async function readIndex(layout: string): Promise<Index> {
  const text = await readFile(join(layout, 'index.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text ? (JSON.parse(text) as Index) : { schemaVersion: 2, mediaType: indexType, manifests: [] };
}

async function writeIndex(layout: string, index: Index): Promise<void> {
  const path = join(layout, 'index.json');
  await writeFile(`${path}.draft`, `${JSON.stringify(index)}\n`);
  await rename(`${path}.draft`, path);
}

/** Makes images, whose blobs are in the layout already, its index. */
export async function indexOf(
  layout: string,
  images: readonly { reference: string; digest: string; size: number; mediaType: string }[],
): Promise<void> {
  const manifests = images.map(({ reference, ...descriptor }) => ({
    ...descriptor,
    annotations: { 'io.containerd.image.name': reference },
  }));
  await writeIndex(layout, { schemaVersion: 2, mediaType: indexType, manifests });
}

/** The images of a layout with the digests of their manifests. */
export async function listImages(layout: string): Promise<(ImageSummary & { added?: true })[]> {
  return (await readIndex(layout)).manifests.map((m) => ({
    reference: nameOf(m),
    digest: m.digest,
    ...(m.annotations?.[addedMark] ? { added: true } : {}),
  }));
}

/** Digest of an image's configuration: what Docker and CRI-O know it by. */
export const configOf = async (layout: string, digest: string): Promise<string> =>
  (await readManifest(layout, digest)).config.digest;

async function readManifest(layout: string, digest: string): Promise<{ config: Descriptor; layers: Descriptor[] }> {
  return JSON.parse(await readFile(blobPath(layout, digest), 'utf8')) as { config: Descriptor; layers: Descriptor[] };
}

/** The layers of an image, lowest first; sizes in bytes. */
export async function layersOf(
  layout: string,
  digest: string,
): Promise<{ digest: string; path: string; size: number }[]> {
  const { layers } = await readManifest(layout, digest);
  return layers.map((layer) => ({ digest: layer.digest, path: blobPath(layout, layer.digest), size: layer.size }));
}

/** Digests of everything that an image consists of. */
async function blobsOf(layout: string, digest: string): Promise<string[]> {
  const manifest = await readManifest(layout, digest);
  return [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
}

const blobName = (digest: string) => `blobs/sha256/${digest.replace('sha256:', '')}`;

/** The table of contents for tools that read `docker save`'s archives only. */
const dockerManifest = (layout: string, chosen: readonly Descriptor[]) =>
  Promise.all(
    chosen.map(async (image) => {
      const { config, layers } = await readManifest(layout, image.digest);
      return {
        Config: blobName(config.digest),
        RepoTags: [nameOf(image)],
        Layers: layers.map(({ digest }) => blobName(digest)),
      };
    }),
  );

/**
 * A tar stream of the layout with only the named images: feed it to `ctr --namespace k8s.io images import -`, `docker load`
 * or `podman load`.
 * @param present images that the receiver has: what they share with the named ones is left out
 * @param without digests of blobs that it has besides
 * @throws when a reference is not in the layout, naming those that are
 */
export async function imageArchive(
  layout: string,
  references: readonly string[],
  present: readonly ImageSummary[] = [],
  without: readonly string[] = [],
): Promise<Readable> {
  const index = await readIndex(layout);
  const chosen = references.map((reference) => {
    const found = index.manifests.find((m) => nameOf(m) === reference);
    if (!found)
      throw new Error(`${layout} has no image ${reference}; it has ${index.manifests.map(nameOf).join(', ')}`);
    return found;
  });
  const digests = new Set<string>();
  for (const { digest } of chosen) for (const blob of await blobsOf(layout, digest)) digests.add(blob);
  const own = new Map(index.manifests.map((m) => [nameOf(m), m.digest]));
  for (const { reference, digest } of present) {
    if (own.get(reference) === digest) for (const blob of await blobsOf(layout, digest)) digests.delete(blob);
  }
  for (const blob of without) digests.delete(blob);
  const tar = pack();
  const out = new PassThrough();
  // Whoever reads the archive may end before it does; what is wrong then they say themselves.
  pipeline(tar, out).catch((error: Error) => out.destroy(error));
  const write = async () => {
    tar.entry({ name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}');
    tar.entry({ name: 'index.json' }, JSON.stringify({ ...index, manifests: chosen }));
    tar.entry({ name: 'manifest.json' }, JSON.stringify(await dockerManifest(layout, chosen)));
    for (const digest of digests) {
      const path = blobPath(layout, digest);
      const { size } = await stat(path);
      const entry = tar.entry({ name: blobName(digest), size });
      await new Promise<void>((resolve, reject) => {
        createReadStream(path, { highWaterMark: 1 << 20 })
          .on('error', reject)
          .pipe(entry)
          .on('finish', resolve)
          .on('error', reject);
      });
    }
    tar.finalize();
  };
  write().catch((error: Error) => out.destroy(error));
  return out;
}
