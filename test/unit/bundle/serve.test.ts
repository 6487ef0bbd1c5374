/** Parts for other hosts: only for those who have the token, from any offset, and nothing else of the disk. */
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PartsServer, serveParts } from '../../../src/installer/bundle/serve.ts';

const name = 'ab'.repeat(32);
let folder: string;
let server: PartsServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-serve-'));
  await writeFile(join(folder, name), '0123456789');
  server = await serveParts(folder);
});

afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number | undefined;
  body: string;
  pin: string;
}

function request(path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(
      { host: '127.0.0.1', port: server.port, path, headers, rejectUnauthorized: false, agent: false },
      (response) => {
        const { raw } = (response.socket as TLSSocket).getPeerCertificate();
        const spki = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' });
        const pin = createHash('sha256').update(spki).digest('base64');
        buffer(response).then((body) => resolve({ status: response.statusCode, body: body.toString(), pin }), reject);
      },
    ).on('error', reject);
  });
}

describe('a host that serves the parts of its bundle', () => {
  const allowed = () => ({ authorization: `Bearer ${server.token}` });
  it.each<[string, string, () => Record<string, string>, number, string]>([
    ['a part', `/${name}`, allowed, 200, '0123456789'],
    ['the rest of a part', `/${name}`, () => ({ ...allowed(), range: 'bytes=4-' }), 206, '456789'],
    ['nothing behind its end', `/${name}`, () => ({ ...allowed(), range: 'bytes=10-' }), 416, ''],
    ['nothing without a token', `/${name}`, () => ({}), 401, ''],
    ['nothing for another token', `/${name}`, () => ({ authorization: `Bearer ${'0'.repeat(64)}` }), 401, ''],
    ['no part that it has not', `/${'cd'.repeat(32)}`, allowed, 404, ''],
    ['no other file', `/../${name}`, allowed, 404, ''],
  ])('gives %s', async (_what, path, headers, status, body) => {
    expect(await request(path, headers())).toEqual({ status, body, pin: server.pin });
  });
});
