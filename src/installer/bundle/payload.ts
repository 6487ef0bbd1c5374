/** What is in a bundle, be it a `.run` file or a folder that it was unpacked to; nothing is written. */
import { createReadStream } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdDecompress } from 'node:zlib';
import { extract } from 'tar-stream';
import { KinitError } from '../errors.ts';
import { type BundleManifest, filesBelow } from './manifest.ts';
import { type RunFileLayout, readRunLayout } from './run-file.ts';

export interface OpenBundle {
  path: string;
  /** Absent: a folder. */
  run?: RunFileLayout;
}

export interface PayloadFile {
  path: string;
  content: Readable;
}

/** @throws KinitError Bundle when it is neither a bundle's file nor a folder with a manifest */
export async function openBundle(path: string): Promise<OpenBundle> {
  const facts = await lstat(path).catch(() => undefined);
  if (!facts) {
    throw new KinitError('Bundle', `there is no bundle ${path}`, { advice: 'build it with: kinit bundle build' });
  }
  if (facts.isFile()) {
    return readRunLayout(path).then(
      (run) => ({ path, run }),
      (error: Error) => {
        throw new KinitError('Bundle', error.message);
      },
    );
  }
  return { path };
}

/** Marks of the unpacking: which parts the files are from, and what unpacks. */
const isMark = (path: string) => path.startsWith('.');

/** Each file in turn; its content has to be read (or resumed) before the next. */
export async function* payloadFiles({ path, run }: OpenBundle): AsyncGenerator<PayloadFile> {
  if (!run) {
    for (const name of await filesBelow(path)) {
      if (!isMark(name)) yield { path: name, content: createReadStream(join(path, name)) };
    }
    return;
  }
  for (const { start, size } of run.parts) {
    const source = createReadStream(path, { start, end: start + size - 1, highWaterMark: 1 << 20 });
    const decompress = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 27 } });
    const tar = extract();
    const read = pipeline(source, decompress, tar);
    // A failure reaches whoever reads the entries as well.
    read.catch(() => undefined);
    for await (const entry of tar) {
      const name = entry.header.name.replace(/^\.\//, '');
      if (entry.header.type === 'file' && !isMark(name)) yield { path: name, content: Readable.from(entry) };
      else entry.resume();
    }
    await read;
  }
}

/** The files that `wanted` names, as texts. */
export async function readPayload(bundle: OpenBundle, wanted: (path: string) => boolean): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  if (!bundle.run) {
    for (const path of (await filesBelow(bundle.path)).filter(wanted)) {
      found.set(path, await readFile(join(bundle.path, path), 'utf8'));
    }
    return found;
  }
  for await (const { path, content } of payloadFiles(bundle)) {
    if (!wanted(path)) {
      await drain(content);
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    found.set(path, Buffer.concat(chunks).toString());
  }
  return found;
}

async function drain(content: Readable): Promise<void> {
  for await (const chunk of content) void chunk;
}

export async function readManifest(bundle: OpenBundle): Promise<BundleManifest> {
  const files = await readPayload(bundle, (path) => path === 'manifest.json').catch((error: Error) => {
    throw damaged(bundle, error.message);
  });
  const text = files.get('manifest.json');
  if (text === undefined) throw damaged(bundle, 'it has no manifest.json');
  return parseManifest(text, bundle);
}

export function parseManifest(text: string, bundle: OpenBundle): BundleManifest {
  try {
    const manifest = JSON.parse(text) as Partial<BundleManifest>;
    if (Array.isArray(manifest.files) && Array.isArray(manifest.images)) return manifest as BundleManifest;
  } catch (error) {
    throw damaged(bundle, `manifest.json: ${(error as Error).message}`);
  }
  throw damaged(bundle, 'manifest.json has no files and images');
}

export const damaged = ({ path }: OpenBundle, seen: string): KinitError =>
  new KinitError('Bundle', `${path} is damaged or no bundle`, { seen, advice: 'copy it again, or build it anew' });
