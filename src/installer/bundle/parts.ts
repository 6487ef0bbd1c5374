/**
 * The parts of a bundle: what changes together travels together. Node (twice, so that its second copy costs nothing), what
 * comes from Debian, kinit's own programs, images that were added, and last the lists of it all.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { filesOfLayer } from './contents.ts';
import { type BundleManifest, sha256OfFile } from './manifest.ts';
import { type ImageSummary, layersOf } from './oci-layout.ts';

export type PartName = 'node' | 'system' | 'kinit' | 'manifest';
const order: readonly PartName[] = ['node', 'system', 'kinit', 'manifest'];

/** These differ whenever anything does. */
export const listFiles = ['images/index.json', 'manifest.json'];

/** In a part's archive: what it has, as `sha256sum` writes it. A host keeps it under the part's sha256. */
export const listPath = (part: string) => `.parts/${part}`;

export const formatList = (files: readonly { path: string; sha256: string }[]): string =>
  files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('');

/** Writes the list of each part below the payload's folder; answers the paths of each part's archive, in its order. */
export async function layParts(
  folder: string,
  { files }: BundleManifest,
  images: readonly ImageSummary[],
): Promise<{ name: PartName; paths: string[] }[]> {
  const layers = await layerParts(join(folder, 'images'), images);
  const partOf = ({ path, origin }: { path: string; origin: string }): PartName => {
    if (listFiles.includes(path)) return 'manifest';
    const layer = layers.get(path);
    if (layer) return layer;
    if (origin === 'npm:node') return 'node';
    return origin.startsWith('debian:') ? 'system' : 'kinit';
  };
  const all = [
    ...files,
    { path: 'manifest.json', sha256: await sha256OfFile(join(folder, 'manifest.json')), origin: 'kinit' },
  ];
  const groups = Map.groupBy(all, partOf);
  const parts: { name: PartName; paths: string[] }[] = [];
  for (const name of order) {
    const members = groups.get(name) ?? [];
    const list = join(folder, listPath(name));
    await mkdir(dirname(list), { recursive: true });
    await writeFile(list, formatList(members));
    const paths = await bySize(
      folder,
      members.map(({ path }) => path),
    );
    parts.push({ name, paths: [listPath(name), ...paths] });
  }
  return parts;
}

/** Blob → part, for the layers that are more than a few bytes. */
async function layerParts(layout: string, images: readonly ImageSummary[]): Promise<Map<string, PartName>> {
  const found = new Map<string, PartName>();
  for (const image of images) {
    for (const { digest, path } of await layersOf(layout, image.digest)) {
      const blob = `images/blobs/${digest.replace(':', '/')}`;
      if (found.has(blob)) continue;
      const names = await filesOfLayer(path);
      const own = names.some((name) => name.startsWith('usr/lib/kinit/'));
      found.set(blob, own ? 'kinit' : names.includes('usr/local/bin/node') ? 'node' : 'system');
    }
  }
  return found;
}

const large = 1 << 26;

/** By name, but the large ones first and by size: that brings the two copies of Node within zstd's window. */
export async function bySize(folder: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const { size } = await stat(join(folder, path));
      return { path, size: size >= large ? size : Number.POSITIVE_INFINITY };
    }),
  );
  found.sort((a, b) => (a.size === b.size ? (a.path < b.path ? -1 : 1) : a.size - b.size));
  return found.map(({ path }) => path);
}
