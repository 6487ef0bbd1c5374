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

export interface BundleManifest {
  kinit: string;
  kubernetes: string;
  architecture: string;
  images: ImageSummary[];
  files: FileRecord[];
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function filesBelow(folder: string, prefix = ''): Promise<string[]> {
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
  images: ImageSummary[],
  originOf: (path: string) => { origin: string; version: string },
): Promise<BundleManifest> {
  const files: FileRecord[] = [];
  for (const path of await filesBelow(target)) {
    if (path === 'manifest.json') continue;
    const full = join(target, path);
    files.push({ path, sha256: await sha256OfFile(full), size: (await lstat(full)).size, ...originOf(path) });
  }
  const manifest: BundleManifest = { kinit: kinitVersion, kubernetes: kubernetesVersion, architecture, images, files };
  await writeFile(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`);
  return manifest;
}
