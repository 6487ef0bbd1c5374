/** Parts of the bundle from one host to another: the one serves them as long as the run of kinit lasts, the other fetches with curl. */
import { isIPv6 } from 'node:net';
import { PassThrough } from 'node:stream';
import { type PlacedPart, partsFolder } from '../bundle/run-file.ts';
import type { PartsAccess } from '../bundle/serve.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { arrivedOf, makePartsFolder, type ShipOptions } from './ship.ts';

export interface Peer extends PartsAccess {
  host: string;
  address: string;
  close(): void;
}

const startTimeoutMs = 15_000;

/**
 * Starts `kinit bundle serve` on a host that has the bundle. It ends with `close`, and with the connection.
 * @param remove the parts go then: only control planes keep them
 */
export async function openPeer(
  connection: Connection,
  address: string,
  { remove, signal }: { remove: boolean; signal: AbortSignal },
): Promise<Peer> {
  const stdin = new PassThrough();
  const started = Promise.withResolvers<PartsAccess>();
  let text = '';
  const onStdout = (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes('\n')) started.resolve(JSON.parse(text) as PartsAccess);
  };
  const command = `${bundlePaths.bin}/kinit bundle serve${remove ? `; rm -rf ${partsFolder}` : ''}`;
  connection
    .root(command, { stdin, onStdout, signal, timeoutMs: 0 })
    .then(
      ({ stderr }) => started.reject(new KinitError('Command', 'kinit bundle serve ended', { seen: stderr.trim() })),
      started.reject,
    );
  const late = setTimeout(() => started.reject(new Error('kinit bundle serve does not answer')), startTimeoutMs);
  const access = await started.promise.finally(() => clearTimeout(late));
  return { ...access, host: connection.host, address, close: () => void stdin.end() };
}

/** What curl reads from its standard input: nothing of it is seen in the list of processes. */
function curlConfig({ address, port, token, pin }: Peer, parts: readonly PlacedPart[]): string {
  const authority = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
  const lines = [
    'silent',
    'show-error',
    'fail',
    'fail-early',
    // The key is what is checked, not a name.
    'insecure',
    `pinnedpubkey = "sha256//${pin}"`,
    `header = "Authorization: Bearer ${token}"`,
    'noproxy = "*"',
    'connect-timeout = 5',
    'speed-limit = 1024',
    'speed-time = 20',
    'continue-at = "-"',
    ...parts.flatMap(({ sha256 }) => [`url = "https://${authority}/${sha256}"`, `output = "${sha256}"`]),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * Lets the host fetch the parts.
 * @throws KinitError Command when it cannot: it may lack curl, or not reach the other one
 */
export async function fetchParts(
  connection: Connection,
  peer: Peer,
  parts: readonly PlacedPart[],
  kept: ReadonlyMap<string, number>,
  { signal, arrived }: ShipOptions,
): Promise<void> {
  const wanted = parts.filter((part) => arrivedOf(part, kept) < part.size);
  if (!wanted.length) return;
  const files = wanted.map(({ sha256 }) => sha256).join(' ');
  const command = `${makePartsFolder} && cd ${partsFolder} || exit 1
command -v curl > /dev/null || { echo 'the host has no curl' >&2; exit 127; }
while :; do wc -c ${files} 2>/dev/null | tail -n 1; sleep 0.5 > /dev/null 2>&1; done & progress=$!
curl --disable --config -; code=$?
kill $progress
exit $code`;
  let seen = wanted.reduce((sum, part) => sum + arrivedOf(part, kept), 0);
  const report = (bytes: number) => {
    if (bytes > seen) arrived(bytes - seen);
    seen = Math.max(seen, bytes);
  };
  const onStdout = (chunk: Buffer) => {
    report(Number(/(\d+)[^\n]*\n$/.exec(chunk.toString())?.[1] ?? 0));
  };
  const stdin = curlConfig(peer, wanted);
  const { code, stderr } = await connection.root(command, { stdin, onStdout, signal, timeoutMs: 0 });
  if (code === 0) return report(wanted.reduce((sum, { size }) => sum + size, 0));
  throw new KinitError('Command', `cannot fetch the bundle from ${peer.host}`, {
    host: connection.host,
    seen: stderr.trim() || `exit code ${code}`,
  });
}
