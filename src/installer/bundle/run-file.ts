/**
 * The bundle as one file that unpacks itself with nothing but `sh`, `tail`, `tar`, `gzip` and `sha256sum` on the host:
 *
 *     | shell header, padded to headerSize | decoder.tar.gz (zstd and its loader) | payload.tar.zst | more.tar.zst … |
 *
 * What is added to a bundle later stands in further archives behind the first; a later file replaces an earlier one.
 *
 * `sh kinit-v0.1.0-linux-amd64.run` checks the payload's sha256, unpacks it beside its final place and renames it there.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { kinitVersion } from '../../machinery/version.ts';
import { type Architecture, architectureNamed } from './architecture.ts';

const headerSize = 8192;

/** Where a bundle of this version lies on a host. */
export const bundlePrefix = `/opt/kinit/${kinitVersion}`;

/** What the file of an architecture is called. */
export const runFileName = ({ debian }: Architecture): string => `kinit-${kinitVersion}-linux-${debian}.run`;

/** Where a bundle is copied to on a host, and what such a file is called. */
export const transferFolder = '/var/tmp';
export const isTransfer = (name: string) => /^kinit-v[\d.]+-[0-9a-f]{12}\.run$/.test(name);

export interface RunFileInfo {
  version: string;
  architecture: Architecture;
  /** sha256 of the payload; a host that has it keeps it in `<prefix>/.payload-sha256`. */
  payloadSha256: string;
  /** Bytes of the whole file. */
  size: number;
}

function header(
  { debian, machine }: Architecture,
  decoderSize: number,
  partSizes: readonly number[],
  payloadSha256: string,
): string {
  const script = `#!/bin/sh
# kinit ${kinitVersion}: unpacks itself to ${bundlePrefix} and links kinit into /usr/local/bin.
# Usage: sh <this file> [--quiet]
# parts: ${partSizes.join(' ')}
set -eu
version='${kinitVersion}'
payload_sha256='${payloadSha256}'
architecture='${debian}'
target='${bundlePrefix}'
quiet=\${1:-}
say() { [ "$quiet" = --quiet ] || echo "$@"; }
fail() { echo "kinit bundle: $*" >&2; exit 1; }
case "$quiet" in
  ''|--quiet) ;;
  -h|--help)
    echo "kinit $version: unpacks itself to $target and links kinit into /usr/local/bin. Run it as root."
    echo "Usage: sh $0 [--quiet]"
    exit 0 ;;
  *) fail "unknown option $quiet (see: sh $0 --help)" ;;
esac
[ "$(uname -m)" = ${machine} ] || fail "this bundle is for linux/$architecture (${machine}), this machine is $(uname -m): take the bundle for it"
[ "$(id -u)" = 0 ] || fail "must run as root to write $target (try: sudo sh $0)"
link() {
  ln -sfn "$target" /opt/kinit/current
  mkdir -p /usr/local/bin
  ln -sfn "$target/bin/kinit" /usr/local/bin/kinit
}
if [ "$(cat "$target/.payload-sha256" 2>/dev/null || true)" = "$payload_sha256" ]; then
  link
  say "kinit $version is already in $target"
  exit 0
fi
seen=$(tail -c +${headerSize + decoderSize + 1} "$0" | sha256sum | cut -d' ' -f1)
[ "$seen" = "$payload_sha256" ] || fail "$0 is damaged: payload sha256 is $seen, expected $payload_sha256; copy it again"
draft="$target.unpacking"
rm -rf "$draft"
mkdir -p "$draft/.decoder"
trap 'rm -rf "$draft"' EXIT
tail -c +${headerSize + 1} "$0" | head -c ${decoderSize} | tar -xzf - -C "$draft/.decoder" || fail "cannot unpack to $draft (disk full?)"
d="$draft/.decoder"
tail -c +${headerSize + decoderSize + 1} "$0" | "$d/loader" --library-path "$d" "$d/zstd" -dc --long=27 | tar -xif - -C "$draft" --no-same-owner \\
  || fail "cannot unpack to $draft (disk full?)"
rm -rf "$d"
[ -s "$draft/manifest.json" ] || fail "the payload did not unpack completely to $draft (disk full?)"
echo "$payload_sha256" > "$draft/.payload-sha256"
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$draft" "$target"
rm -rf "$target.old"
trap - EXIT
link
say "kinit $version is in $target; next: kinit init, or kinit join"
exit 0
`;
  if (Buffer.byteLength(script) > headerSize)
    throw new Error(`the bundle's shell header is larger than ${headerSize} bytes`);
  return script + '\n'.repeat(headerSize - Buffer.byteLength(script));
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

/** Puts header, decoder and payload together. */
export async function writeRunFile(
  target: string,
  architecture: Architecture,
  decoder: string | FilePart,
  ...payload: (string | FilePart)[]
): Promise<RunFileInfo> {
  const partOf = (part: string | FilePart): FilePart => (typeof part === 'string' ? { path: part } : part);
  const parts = payload.map(partOf);
  const hash = createHash('sha256');
  for await (const chunk of contentOf(parts)) hash.update(chunk);
  const payloadSha256 = hash.digest('hex');
  const draft = `${target}.draft`;
  const text = header(architecture, await sizeOf(partOf(decoder)), await Promise.all(parts.map(sizeOf)), payloadSha256);
  await writeFile(draft, text, { mode: 0o755 });
  await pipeline(contentOf([partOf(decoder), ...parts]), createWriteStream(draft, { flags: 'a' }));
  await rename(draft, target);
  return { version: kinitVersion, architecture, payloadSha256, size: (await stat(target)).size };
}

/** Where the parts of a bundle's file are. */
export interface RunFileLayout extends RunFileInfo {
  decoder: FilePart;
  /** Archives, each compressed by itself. */
  parts: FilePart[];
}

/** Reads a bundle's header. Throws when the file is not a kinit bundle. */
export async function readRunFile(path: string): Promise<RunFileInfo> {
  const { version, architecture, payloadSha256, size } = await readRunLayout(path);
  return { version, architecture, payloadSha256, size };
}

/** As readRunFile, with the places of the archives. */
export async function readRunLayout(path: string): Promise<RunFileLayout> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot open the bundle ${path}: ${error.code}; build it with: kinit bundle build`);
  });
  try {
    const { buffer } = await handle.read(Buffer.alloc(headerSize), 0, headerSize, 0);
    const text = buffer.toString('latin1');
    const version = /^version='([^']+)'$/m.exec(text)?.[1];
    const payloadSha256 = /^payload_sha256='([0-9a-f]{64})'$/m.exec(text)?.[1];
    const architecture = architectureNamed(/^architecture='([^']+)'$/m.exec(text)?.[1] ?? 'amd64');
    if (!version || !payloadSha256) throw new Error(`${path} is not a kinit bundle (no kinit header)`);
    const { size } = await handle.stat();
    const decoderSize = Number(/\| head -c (\d+) \|/.exec(text)?.[1] ?? 0);
    const begin = headerSize + decoderSize;
    const sizes = /^# parts: ([\d ]+)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [size - begin];
    const parts = sizes.map((each, index) => {
      const before = sizes.slice(0, index).reduce((sum, other) => sum + other, 0);
      return { path, start: begin + before, size: each };
    });
    const decoder = { path, start: headerSize, size: decoderSize };
    return { version, architecture, payloadSha256, size, decoder, parts };
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
