/** Brings the parts of the bundle to a host and unpacks them: only what is missing, resumed where a transfer broke off, checked by sha256. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type PlacedPart, partsFolder, type RunFileInfo, type RunFileLayout } from '../bundle/run-file.ts';
import { damagedExit, unpackedFactor } from '../bundle/run-header.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Connection, passing, quote } from './connection.ts';
import type { HostFacts } from './facts.ts';

export interface ShipOptions {
  signal: AbortSignal;
  /** Bytes that have arrived at the host since the last call. */
  arrived(bytes: number): void;
}

export const hasBundle = (facts: HostFacts, bundle: RunFileInfo): boolean =>
  facts.payloadSha256 === bundle.payloadSha256;

/** Anybody may read the bundle; its parts are root's. */
export const makePartsFolder = `mkdir -p ${bundlePaths.parent} && chmod 755 ${bundlePaths.parent} && umask 077 && mkdir -p ${partsFolder}`;

/** Parts that no bundle on the host has. */
export const missingParts = ({ unpackedParts }: HostFacts, { decoder, parts }: RunFileLayout): PlacedPart[] =>
  [decoder, ...parts].filter(({ sha256 }) => !unpackedParts.includes(sha256));

/** A longer file than ours is no piece of ours. */
export function arrivedOf({ sha256, size }: PlacedPart, kept: ReadonlyMap<string, number>): number {
  const bytes = kept.get(sha256) ?? 0;
  return bytes <= size ? bytes : 0;
}

export const bytesOf = (parts: readonly PlacedPart[]): number => parts.reduce((sum, { size }) => sum + size, 0);

/** @throws KinitError Preflight when the bundle has no room on the host */
export function checkRoom(host: string, facts: HostFacts, bundle: RunFileLayout, local: boolean): void {
  if (hasBundle(facts, bundle)) return;
  const mib = (kib: number) => `${Math.floor(kib / 1024)} MiB`;
  const missing = missingParts(facts, bundle);
  const toTransfer = local
    ? 0
    : bytesOf(missing) - missing.reduce((sum, part) => sum + arrivedOf(part, facts.keptParts), 0);
  const needed = (bytesOf(missing) * unpackedFactor + toTransfer) / 1024;
  if (facts.freeForBundle >= needed) return;
  throw new KinitError(
    'Preflight',
    `not enough room in /opt: ${mib(facts.freeForBundle)} are free, ${mib(needed)} needed`,
    {
      host,
      advice: 'free some space on the file system of /opt',
    },
  );
}

/** Copies one part, or what is missing of it; answers how many bytes were sent. */
export async function sendPart(
  connection: Connection,
  part: PlacedPart,
  kept: ReadonlyMap<string, number>,
  { signal, arrived }: ShipOptions,
): Promise<number> {
  const { path, start, size, sha256 } = part;
  const offset = arrivedOf(part, kept);
  if (offset === size) return 0;
  const counting = passing(arrived);
  const content = createReadStream(path, { start: start + offset, end: start + size - 1, highWaterMark: 1 << 18 });
  // Whoever reads `counting` sees its failure.
  pipeline(content, counting).catch(() => undefined);
  const command = `${makePartsFolder} && cat ${offset ? '>>' : '>'} ${partsFolder}/${sha256}`;
  const { code, stderr } = await connection
    .root(command, { stdin: counting, signal, timeoutMs: 0 })
    .finally(() => content.destroy());
  if (code === 0) return size - offset;
  throw new KinitError('Command', `cannot write the bundle to ${partsFolder}`, {
    host: connection.host,
    seen: stderr.trim(),
    advice: /No space left/.test(stderr) ? 'free some space on the file system of /opt' : 'check /opt on the host',
  });
}

/**
 * Unpacks the bundle there, after checking the sha256 of each part.
 * @param keep the parts stay, for other hosts
 * @throws KinitError Bundle; with `damaged`, what was damaged is gone and can be sent again
 */
export async function unpackBundle(
  connection: Connection,
  bundle: RunFileLayout,
  keep: boolean,
  signal: AbortSignal,
): Promise<{ damaged?: string }> {
  const run = { signal, timeoutMs: 600_000 };
  const names = [bundle.decoder, ...bundle.parts].map(({ sha256 }) => sha256);
  // Parts of other bundles are of no more use.
  const tidy = keep
    ? `cd ${partsFolder} && for f in *; do case ' ${names.join(' ')} ' in *" $f "*) ;; *) rm -f "$f" ;; esac; done`
    : `rm -rf ${partsFolder}`;
  const { code, stderr } = connection.local
    ? await connection.root(`sh ${quote(bundle.path)} --quiet`, run)
    : await connection.root(`${makePartsFolder} && sh -s -- --quiet --parts ${partsFolder} && { ${tidy}; }`, {
        ...run,
        stdin: bundle.header,
      });
  if (code === 0) return {};
  if (code === damagedExit && !connection.local) return { damaged: stderr.trim() };
  throw new KinitError('Bundle', 'the bundle could not be unpacked', {
    host: connection.host,
    seen: stderr.trim(),
    advice: /disk full|No space left/.test(stderr)
      ? 'free some space on the file system of /opt'
      : 'run the command again; check the bundle with: kinit bundle verify',
  });
}
