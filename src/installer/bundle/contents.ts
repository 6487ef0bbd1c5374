/** What is inside of what is built: packages in images, npm packages in our programs. For the manifest. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import type { Component, ImageRecord } from './manifest.ts';
import { type ImageSummary, layersOf } from './oci-layout.ts';

/** Paths of the files in a layer. */
export async function filesOfLayer(path: string): Promise<string[]> {
  const files: string[] = [];
  const tar = extract();
  const read = pipeline(createReadStream(path), tar);
  for await (const entry of tar) {
    if (entry.header.type === 'file') files.push(entry.header.name);
    entry.resume();
  }
  await read;
  return files;
}

/** Each component once, by name. */
export function distinct(components: readonly Component[]): Component[] {
  const byKey = new Map(components.map((component) => [`${component.origin} ${component.version}`, component]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component);
}

/** The images with what their files come from. Layers that images share are read once. */
export async function withContents(
  layout: string,
  images: readonly ImageSummary[],
  originOf: (path: string) => Component,
): Promise<ImageRecord[]> {
  const layers = new Map<string, Component[]>();
  const records: ImageRecord[] = [];
  for (const image of images) {
    const contents: Component[] = [];
    for (const { path, digest } of await layersOf(layout, image.digest)) {
      const known = layers.get(digest) ?? distinct((await filesOfLayer(path)).map(originOf));
      layers.set(digest, known);
      contents.push(...known);
    }
    records.push({ ...image, contents: distinct(contents) });
  }
  return records;
}

interface Lockfile {
  packages: Record<string, { version?: string; license?: string; dev?: boolean; optional?: boolean }>;
}

/** npm packages that the programs are bundled from, as the lock file pins them. */
export async function bundledLibraries(repository: string): Promise<Component[]> {
  const lock = JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')) as Lockfile;
  return librariesOf(lock);
}

export function librariesOf({ packages }: Lockfile): Component[] {
  return distinct(
    Object.entries(packages).flatMap(([path, { version, license, dev, optional }]): Component[] => {
      const name = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1];
      // Optional packages are native ones, which the bundle leaves out; Node itself is a file of its own.
      if (!name || !version || dev || optional || name === 'node' || name.startsWith('@types/')) return [];
      return [{ origin: `npm:${name}`, version, ...(license ? { license } : {}) }];
    }),
  );
}
