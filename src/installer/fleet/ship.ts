/** Brings the bundle to a host and unpacks it: only what is missing, resumed where a transfer broke off, checked by sha256. */
import { createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import type { RunFileInfo } from '../bundle/run-file.ts';
import { KinitError } from '../errors.ts';
import { type Connection, quote } from './connection.ts';
import { type HostFacts, transferPath } from './facts.ts';

/** Unpacked, the bundle is this many times as large. */
const unpackedFactor = 4;

export interface ShipOptions {
  signal: AbortSignal;
  progress?(done: number, total: number): void;
}

export const hasBundle = (facts: HostFacts, bundle: RunFileInfo): boolean =>
  facts.payloadSha256 === bundle.payloadSha256;

/** @throws KinitError Preflight when the bundle has no room on the host */
export function checkRoom(host: string, facts: HostFacts, bundle: RunFileInfo, local: boolean): void {
  if (hasBundle(facts, bundle)) return;
  const mib = (kib: number) => `${Math.floor(kib / 1024)} MiB`;
  const toUnpack = (bundle.size * unpackedFactor) / 1024;
  const toTransfer = local ? 0 : Math.max(0, bundle.size - facts.transferred) / 1024;
  for (const [folder, free, needed] of [
    ['/var/tmp', facts.freeForTransfer, toTransfer],
    ['/opt', facts.freeForBundle, toUnpack],
  ] as const) {
    if (free >= needed) continue;
    throw new KinitError('Preflight', `not enough room in ${folder}: ${mib(free)} are free, ${mib(needed)} needed`, {
      host,
      advice: `free some space on the file system of ${folder}`,
    });
  }
}

/** Copies the file to the host; answers how many bytes were sent. Complete transfers of the same bundle are used again. */
export async function shipBundle(
  connection: Connection,
  path: string,
  bundle: RunFileInfo,
  transferred: number,
  { signal, progress }: ShipOptions,
): Promise<number> {
  const target = transferPath(bundle);
  // A longer file is not a part of ours.
  const offset = transferred <= bundle.size ? transferred : 0;
  if (offset === bundle.size) return 0;
  let done = offset;
  progress?.(done, bundle.size);
  const counting = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length;
      progress?.(done, bundle.size);
      next(null, chunk);
    },
  });
  const file = createReadStream(path, { start: offset, highWaterMark: 1 << 18 });
  file.on('error', (error) => counting.destroy(error));
  const command = `umask 077; cat ${offset ? '>>' : '>'} ${quote(target)}`;
  const { code, stderr } = await connection
    .root(command, { stdin: file.pipe(counting), signal, timeoutMs: 0 })
    .finally(() => file.destroy());
  if (code === 0) return bundle.size - offset;
  throw new KinitError('Command', `cannot write the bundle to ${target}`, {
    host: connection.host,
    seen: stderr.trim(),
    advice: /No space left/.test(stderr)
      ? 'free some space on the file system of /var/tmp'
      : 'check /var/tmp on the host',
  });
}

/** Unpacks the bundle there, after checking its sha256; the transferred file is removed. */
export async function unpackBundle(
  connection: Connection,
  path: string,
  bundle: RunFileInfo,
  signal: AbortSignal,
): Promise<void> {
  const file = connection.local ? path : transferPath(bundle);
  const { code, stderr } = await connection.root(`sh ${quote(file)} --quiet`, { signal, timeoutMs: 600_000 });
  if (!connection.local && (code === 0 || /is damaged/.test(stderr))) await connection.root(`rm -f ${quote(file)}`);
  if (code === 0) return;
  throw new KinitError('Bundle', 'the bundle could not be unpacked', {
    host: connection.host,
    seen: stderr.trim(),
    advice: /disk full|No space left/.test(stderr)
      ? 'free some space on the file system of /opt'
      : 'run the command again; the bundle is copied anew if it was damaged',
  });
}
