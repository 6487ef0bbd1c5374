/**
 * The bundle as one file that unpacks itself with nothing but `sh`, `tail`, `tar`, `gzip` and `sha256sum` on the host:
 *
 *     | shell header, padded to headerSize | decoder.tar.gz (zstd and its loader) | node.tar.zst | system.tar.zst | … |
 *
 * Parts are known by their sha256: a host to which a changed bundle is shipped gets those that it does not have. What is added to
 * a bundle later is a further part.
 *
 * `sh kinit-v0.1.0-linux-amd64.run` checks the sha256 of each part, unpacks beside the final place and renames it there.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { kinitVersion } from '../../machinery/version.ts';
import { type Architecture, architectureNamed } from './architecture.ts';
import { bundlePrefix, headerSize, runHeader } from './run-header.ts';

export { bundlePrefix } from './run-header.ts';

/** Where the parts of a bundle are collected on a host; control planes keep them for the hosts that come later. */
export const partsFolder = '/opt/kinit/parts';

/** What the file of an architecture is called. */
export const runFileName = ({ debian }: Architecture): string => `kinit-${kinitVersion}-linux-${debian}.run`;

/** A part of the payload, or the decoder. Parts that two bundles share have the same sha256. */
export interface PartRecord {
  name: string;
  /** Bytes. */
  size: number;
  sha256: string;
}

export interface RunFileInfo {
  version: string;
  architecture: Architecture;
  /** sha256 over the sha256 of the parts; a host that has them all keeps it in `<prefix>/.payload-sha256`. */
  payloadSha256: string;
  /** Bytes of the whole file. */
  size: number;
}

/** A piece of a file; without `size` all of it. */
export interface FilePart {
  path: string;
  start?: number;
  size?: number;
}

async function* contentOf(parts: readonly FilePart[]): AsyncGenerator<Buffer> {
  for (const { path, start = 0, size } of parts) {
    const end = size === undefined ? {} : { end: start + size - 1 };
    if (size !== 0) yield* createReadStream(path, { start, ...end, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  }
}

const sizeOf = async ({ path, size }: FilePart): Promise<number> => size ?? (await stat(path)).size;

/** A part that is to be written. */
export type NewPart = FilePart & { name: string };

export const payloadDigest = (parts: readonly PartRecord[]): string =>
  createHash('sha256')
    .update(parts.map(({ sha256 }) => `${sha256}\n`).join(''))
    .digest('hex');

/** Puts header, decoder and payload together. */
export async function writeRunFile(
  target: string,
  architecture: Architecture,
  decoder: string | FilePart,
  ...payload: NewPart[]
): Promise<RunFileInfo> {
  const first: NewPart = { ...(typeof decoder === 'string' ? { path: decoder } : decoder), name: 'decoder' };
  const parts = [first, ...payload];
  const records: PartRecord[] = [];
  for (const part of parts) {
    const hash = createHash('sha256');
    for await (const chunk of contentOf([part])) hash.update(chunk);
    records.push({ name: part.name, size: await sizeOf(part), sha256: hash.digest('hex') });
  }
  const payloadSha256 = payloadDigest(records.slice(1));
  const draft = `${target}.draft`;
  await writeFile(draft, runHeader(architecture, records, payloadSha256), { mode: 0o755 });
  await pipeline(contentOf(parts), createWriteStream(draft, { flags: 'a' }));
  await rename(draft, target);
  return { version: kinitVersion, architecture, payloadSha256, size: (await stat(target)).size };
}

/** A part with its place in the bundle's file. */
export type PlacedPart = PartRecord & Required<FilePart>;

/** Where the parts of a bundle's file are. */
export interface RunFileLayout extends RunFileInfo {
  path: string;
  /** The script, which can be run without the rest. */
  header: string;
  decoder: PlacedPart;
  /** Archives, each compressed by itself; no two have the same file. */
  parts: PlacedPart[];
}

/** Reads a bundle's header. Throws when the file is not a kinit bundle. */
export async function readRunFile(path: string): Promise<RunFileInfo> {
  const { version, architecture, payloadSha256, size } = await readRunLayout(path);
  return { version, architecture, payloadSha256, size };
}

/** As readRunFile, with the places of the parts. */
export async function readRunLayout(path: string): Promise<RunFileLayout> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot open the bundle ${path}: ${error.code}; build it with: kinit bundle build`);
  });
  try {
    const { buffer } = await handle.read(Buffer.alloc(headerSize), 0, headerSize, 0);
    const header = buffer.toString('latin1');
    const version = /^version='([^']+)'$/m.exec(header)?.[1];
    const payloadSha256 = /^payload_sha256='([0-9a-f]{64})'$/m.exec(header)?.[1];
    const architecture = architectureNamed(/^architecture='([^']+)'$/m.exec(header)?.[1] ?? 'amd64');
    const list = /^parts='((?:[a-z0-9-]+:\d+:[0-9a-f]{64} ?)+)'$/m.exec(header)?.[1];
    if (!version || !payloadSha256 || !list) throw new Error(`${path} is not a kinit bundle (no kinit header)`);
    const { size } = await handle.stat();
    let start = headerSize;
    const [decoder, ...parts] = list.split(' ').map((text): PlacedPart => {
      const [name = '', length, sha256 = ''] = text.split(':');
      const part = { name, size: Number(length), sha256, path, start };
      start += part.size;
      return part;
    });
    if (start !== size) throw new Error(`${path} has ${size} bytes, its header says ${start}; copy it again`);
    return { version, architecture, payloadSha256, size, path, header, decoder: decoder!, parts };
  } finally {
    await handle.close();
  }
}

/** The sha256 of the payload that is unpacked below `prefix`, if any. */
export async function unpackedPayload(prefix = bundlePrefix): Promise<string | undefined> {
  const text = await readFile(`${prefix}/.payload-sha256`, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text?.trim();
}
