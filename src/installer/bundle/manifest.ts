/** manifest.json of a bundle: where each file comes from, in which version, and its sha256. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { kinitVersion, kubernetesVersion } from '../../machinery/version.ts';
import type { ImageSummary } from './oci-layout.ts';

export interface FileRecord {
  path: string;
  sha256: string;
  size: number;
  /** `debian:<package>`, `npm:node`, or `kinit`. */
  origin: string;
  version: string;
}

/** Something with a version that is inside of something else. */
export interface Component {
  /** As of files; `npm:<package>` for libraries in our programs. */
  origin: string;
  version: string;
  /** SPDX identifier, where the origin states one. */
  license?: string;
}

export interface ImageRecord extends ImageSummary {
  /** What the image is made of; absent when nobody knows. */
  contents?: Component[];
  /** Not one of kinit's: every node loads it. */
  added?: true;
}

export interface BundleManifest {
  kinit: string;
  kubernetes: string;
  architecture: string;
  images: ImageRecord[];
  /** In the programs of ours. */
  libraries?: Component[];
  files: FileRecord[];
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

export async function filesBelow(folder: string, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for (const item of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = prefix ? `${prefix}/${item.name}` : item.name;
    if (item.isDirectory()) found.push(...(await filesBelow(folder, path)));
    else if (item.isFile()) found.push(path);
  }
  return found.sort();
}

/** Records every file below `target` and writes manifest.json there. */
export async function writeManifest(
  target: string,
  architecture: string,
  images: ImageRecord[],
  libraries: Component[],
  originOf: (path: string) => { origin: string; version: string },
): Promise<BundleManifest> {
  const files: FileRecord[] = [];
  for (const path of await filesBelow(target)) {
    if (path === 'manifest.json') continue;
    const full = join(target, path);
    files.push({ path, sha256: await sha256OfFile(full), size: (await lstat(full)).size, ...originOf(path) });
  }
  const manifest: BundleManifest = {
    kinit: kinitVersion,
    kubernetes: kubernetesVersion,
    architecture,
    images,
    libraries,
    files,
  };
  await writeFile(join(target, 'manifest.json'), formatManifest(manifest));
  return manifest;
}

export const formatManifest = (manifest: BundleManifest): string => `${JSON.stringify(manifest, null, 1)}\n`;
