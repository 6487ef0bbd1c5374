/** A bundle of a few bytes, and image archives as other tools write them, for tests. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { file } from '../../../src/installer/bundle/layer.ts';
import { filesBelow, writeManifest } from '../../../src/installer/bundle/manifest.ts';
import { addImage, addLayer, createLayout } from '../../../src/installer/bundle/oci-layout.ts';
import { formatList, listFiles, listPath } from '../../../src/installer/bundle/parts.ts';
import { writeRunFile } from '../../../src/installer/bundle/run-file.ts';

export const ownImage = 'kinit.local/pause:3.10.1';

export async function tarOf(files: Record<string, string | Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, content);
  tar.finalize();
  return buffer(tar);
}

/** @returns the folder of the payload, and the `.run` file made of it */
export async function smallBundle(at: string): Promise<{ folder: string; run: string }> {
  const folder = join(at, 'payload');
  const layout = join(folder, 'images');
  await createLayout(layout);
  const layer = await addLayer(layout, [file('pause', Buffer.from('static'), 0o755)]);
  const image = await addImage(layout, ownImage, [layer], { Entrypoint: ['/pause'] });
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin/tool'), 'a tool');
  const contents = [{ origin: 'debian:catatonit', version: '0.2.1-2' }];
  await writeManifest(
    folder,
    'amd64',
    [{ ...image, contents }],
    [{ origin: 'npm:@scope/lib', version: '1.2.3', license: 'MIT' }],
    (path) => ({ origin: path === 'bin/tool' ? 'debian:tool' : 'kinit', version: '1:2-3' }),
  );
  return { folder, run: await runFileOf(folder, at) };
}

/** The folder as it is, damaged or not, as a file that unpacks itself. */
export async function runFileOf(folder: string, at: string): Promise<string> {
  const files: Record<string, Buffer> = {};
  for (const path of await filesBelow(folder)) files[path] = await readFile(join(folder, path));
  const parts = [
    await partOf('kinit', files, (path) => !listFiles.includes(path), at),
    await partOf('manifest', files, (path) => listFiles.includes(path), at),
  ];
  await writeFile(join(at, 'decoder.tar.gz'), gzipSync('decoder'));
  const run = join(at, 'kinit.run');
  await writeRunFile(run, ownArchitecture(), join(at, 'decoder.tar.gz'), ...parts);
  return run;
}

async function partOf(name: string, files: Record<string, Buffer>, wanted: (path: string) => boolean, at: string) {
  const chosen = Object.fromEntries(Object.entries(files).filter(([path]) => wanted(path)));
  const list = formatList(Object.entries(chosen).map(([path, content]) => ({ path, sha256: sha256(content) })));
  const path = join(at, `${name}.tar.zst`);
  await writeFile(path, zstdCompressSync(await tarOf({ [listPath(name)]: list, ...chosen })));
  return { name, path };
}

export const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

const configOf = (layer: Buffer) =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
  });

/** As docker save wrote it before version 25: layers as tars, names in manifest.json. */
export async function dockerArchive(tags: string[] | null, layer: Buffer): Promise<Buffer> {
  const config = configOf(layer);
  return tarOf({
    [`${sha256(config)}.json`]: config,
    'abc/layer.tar': layer,
    'manifest.json': JSON.stringify([{ Config: `${sha256(config)}.json`, RepoTags: tags, Layers: ['abc/layer.tar'] }]),
    repositories: '{}',
  });
}

export interface OciParts {
  annotations?: Record<string, string>;
  /** Wrapped in an index for several platforms. */
  platforms?: string[];
  /** Left out of the archive. */
  without?: 'layer';
}

export async function ociArchive(layer: Buffer, { annotations, platforms, without }: OciParts): Promise<Buffer> {
  const blobs: Record<string, string | Buffer> = {};
  const blob = (mediaType: string, content: string | Buffer) => {
    blobs[`blobs/sha256/${sha256(content)}`] = content;
    return { mediaType, digest: `sha256:${sha256(content)}`, size: content.length };
  };
  const type = (name: string) => `application/vnd.oci.image.${name}`;
  const layerBlob = blob(type('layer.v1.tar'), layer);
  if (without === 'layer') delete blobs[`blobs/sha256/${sha256(layer)}`];
  const manifest = blob(
    type('manifest.v1+json'),
    JSON.stringify({ schemaVersion: 2, config: blob(type('config.v1+json'), configOf(layer)), layers: [layerBlob] }),
  );
  const top = platforms
    ? blob(
        type('index.v1+json'),
        JSON.stringify({
          manifests: platforms.map((architecture) => ({ ...manifest, platform: { os: 'linux', architecture } })),
        }),
      )
    : manifest;
  const index = { schemaVersion: 2, manifests: [{ ...top, ...(annotations ? { annotations } : {}) }] };
  return tarOf({ 'oci-layout': '{}', 'index.json': JSON.stringify(index), ...blobs });
}
