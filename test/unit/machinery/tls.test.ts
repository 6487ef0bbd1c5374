/** Versions and cipher suites of TLS servers: what Go's names mean here, seen by a client. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';
import { strongSuites, tlsSettings } from '../../../src/machinery/serving/tls.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What a client that offers this agrees on with a server of these settings; or why it does not. */
async function agreed(
  [minVersion, suites]: [string?, string[]?],
  offer: { maxVersion?: SecureVersion; ciphers?: string } = {},
): Promise<string> {
  const server = createServer({ ...selfSignedCertificate('test', ['localhost']), ...tlsSettings(minVersion, suites) });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new Promise((resolve) => {
    const { port } = server.address() as AddressInfo;
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...offer }, () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().standardName}`);
      socket.destroy();
    });
    socket.once('error', () => resolve('refused'));
  });
}

describe('a server', () => {
  it.each([
    ['as it is, with a client of today', [], {}, /^TLSv1\.3 /],
    ['as it is, with an older client', [], { maxVersion: 'TLSv1.2' }, /^TLSv1\.2 TLS_ECDHE_/],
    [
      'as it is, with a client that knows only weak suites',
      [],
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA' },
      /^refused$/,
    ],
    ['that wants TLS 1.3', ['VersionTLS13'], { maxVersion: 'TLSv1.2' }, /^refused$/],
    [
      'with one suite',
      ['', strongSuites.filter((suite) => suite.includes('CHACHA20'))],
      { maxVersion: 'TLSv1.2' },
      /CHACHA20/,
    ],
    ['with one suite of TLS 1.2, and a client of today', ['', strongSuites.slice(0, 2)], {}, /^TLSv1\.3 /],
  ] as [string, [string?, string[]?], object, RegExp][])('%s: %s %o', async (_what, settings, offer, expected) => {
    expect(await agreed(settings, offer)).toMatch(expected);
  });
});

it.each([
  [['TLS1.2'], '--tls-min-version: unknown tls version "TLS1.2"'],
  [['', ['ECDHE-RSA-AES128-GCM-SHA256']], "Cipher suite ECDHE-RSA-AES128-GCM-SHA256 not supported or doesn't exist"],
] as [[string?, string[]?], string][])('%j is refused', (settings, message) =>
  expect(() => tlsSettings(...settings)).toThrow(message),
);
