/**
 * Serves the parts of a bundle to other hosts for the time of one run: over TLS with a key made for it, to whoever has the token.
 * Both reach the other hosts over SSH. What is served is checked by its sha256 where it arrives.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeKey, privateKeyPem } from '../pki/keys.ts';
import { certificatePem, issueCertificate } from '../pki/x509.ts';

/** What another host needs to fetch parts. */
export interface PartsAccess {
  port: number;
  token: string;
  /** base64 of the sha256 of the server's public key, as curl's `--pinnedpubkey` takes it. */
  pin: string;
}

export interface PartsServer extends PartsAccess {
  close(): Promise<void>;
}

const day = 86_400_000;

export async function serveParts(folder: string): Promise<PartsServer> {
  const key = await makeKey('ECDSA-P256');
  const now = Date.now();
  const certificate = issueCertificate(
    { commonName: 'kinit', usages: ['serverAuth'], notBefore: new Date(now - day), notAfter: new Date(now + day) },
    key,
  );
  const token = randomBytes(32).toString('hex');
  const server = createServer({ key: privateKeyPem(key), cert: certificatePem(certificate) }, (request, response) => {
    answer(folder, token, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, resolve));
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return {
    port: (server.address() as AddressInfo).port,
    token,
    pin: createHash('sha256').update(spki).digest('base64'),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isAllowed({ headers }: IncomingMessage, token: string): boolean {
  const given = Buffer.from(headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function answer(
  folder: string,
  token: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (code: number) => void response.writeHead(code).end();
  if (!isAllowed(request, token)) return refuse(401);
  const name = /^\/([0-9a-f]{64})$/.exec(request.url ?? '')?.[1];
  if (request.method !== 'GET' || !name) return refuse(404);
  const path = join(folder, name);
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return refuse(404);
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start >= size) return refuse(416);
  const range = start ? { 'content-range': `bytes ${start}-${size - 1}/${size}` } : {};
  response.writeHead(start ? 206 : 200, { 'content-length': size - start, ...range });
  await pipeline(createReadStream(path, { start, highWaterMark: 1 << 18 }), response);
}
