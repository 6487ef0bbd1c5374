import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthenticator } from '../../../src/components/apiserver/authentication/authenticator.ts';
import { MemoryCache } from '../apiserver-authorization/memory-cache.ts';

interface Identity {
  cert: string;
  key: string;
}
interface Authority extends Identity {
  issue(cn: string, organizations: string[], days?: number, serverAuthOnly?: boolean): Identity;
}

function certificate(
  cn: string,
  organizations: string[],
  issuer: forge.pki.Certificate | undefined,
  issuerKey: forge.pki.PrivateKey | undefined,
  days: number,
  serverAuthOnly: boolean,
) {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(7))}`;
  made.validity.notBefore = new Date(Date.now() - 2 * 86_400_000);
  made.validity.notAfter = new Date(Date.now() + days * 86_400_000);
  made.setSubject([
    ...organizations.map((value) => ({ name: 'organizationName', value })),
    { name: 'commonName', value: cn },
  ]);
  made.setIssuer(issuer ? issuer.subject.attributes : made.subject.attributes);
  made.setExtensions(
    issuer
      ? [{ name: 'extKeyUsage', serverAuth: serverAuthOnly, clientAuth: !serverAuthOnly }]
      : [
          { name: 'basicConstraints', cA: true },
          { name: 'keyUsage', keyCertSign: true },
        ],
  );
  made.sign((issuerKey as forge.pki.rsa.PrivateKey | undefined) ?? keys.privateKey, forge.md.sha256.create());
  return { made, keys, cert: forge.pki.certificateToPem(made), key: forge.pki.privateKeyToPem(keys.privateKey) };
}

function authority(cn: string): Authority {
  const ca = certificate(cn, [], undefined, undefined, 30, false);
  return {
    cert: ca.cert,
    key: ca.key,
    issue: (name, organizations, days = 10, serverAuthOnly = false) =>
      certificate(name, organizations, ca.made, ca.keys.privateKey, days, serverAuthOnly),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'kinit-x509-'));
const cluster = authority('kubernetes');
const proxy = authority('front-proxy-ca');
let server: Server;

beforeAll(async () => {
  writeFileSync(join(folder, 'ca.crt'), cluster.cert);
  writeFileSync(join(folder, 'front-proxy-ca.crt'), proxy.cert);
  const cache = new MemoryCache();
  const authenticator = createAuthenticator(
    {
      clientCaFile: join(folder, 'ca.crt'),
      requestHeader: {
        clientCaFile: join(folder, 'front-proxy-ca.crt'),
        allowedNames: ['front-proxy-client'],
        usernameHeaders: ['X-Remote-User'],
        groupHeaders: ['X-Remote-Group'],
        extraHeaderPrefixes: ['X-Remote-Extra-'],
      },
    },
    {
      cache,
      loopback: {
        get: async () => undefined,
        create: async (_resource, object) => object,
        update: async () => {
          throw new Error('read only');
        },
        delete: async () => undefined,
      },
    },
  );
  const own = cluster.issue('kube-apiserver', [], 10, true);
  server = createServer(
    { key: own.key, cert: own.cert, ca: [cluster.cert, proxy.cert], requestCert: true, rejectUnauthorized: false },
    (req, res) => {
      authenticator.authenticate(req).then(
        (user) => res.end(JSON.stringify(user)),
        (error: { code: number }) => {
          res.statusCode = error.code;
          res.end('{}');
        },
      );
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

async function whoami(identity: Identity | undefined, headers: Record<string, string | string[]> = {}) {
  const req = request({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    agent: false,
    headers,
    ...(identity ? { key: identity.key, cert: identity.cert } : {}),
  });
  req.end();
  const [res] = await once(req, 'response');
  return { code: res.statusCode as number, user: JSON.parse(await text(res)) as Record<string, unknown> };
}

describe('a client certificate', () => {
  test('names the user by CN and the groups by O', async () => {
    const { user } = await whoami(cluster.issue('system:node:n1', ['system:nodes', 'a, "b"']));
    expect(user).toMatchObject({
      name: 'system:node:n1',
      groups: ['system:nodes', 'a, "b"', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)] },
    });
  });
  test.each<[string, Identity, number]>([
    ['of another authority', authority('kubernetes').issue('admin', ['system:masters']), 401],
    ['that has expired', cluster.issue('admin', ['system:masters'], -1), 401],
    ['for servers', cluster.issue('admin', ['system:masters'], 10, true), 401],
  ])('%s is refused', async (_name, identity, code) => {
    expect((await whoami(identity)).code).toBe(code);
  });
  test('is not needed', async () => {
    expect((await whoami(undefined)).user).toEqual({ name: 'system:anonymous', groups: ['system:unauthenticated'] });
  });
});

describe('a front proxy', () => {
  const headers = { 'X-Remote-User': 'ann', 'X-Remote-Group': ['a', 'b'], 'X-Remote-Extra-Scopes%2fx': 'y' };
  test('names the user in headers', async () => {
    expect((await whoami(proxy.issue('front-proxy-client', []), headers)).user).toEqual({
      name: 'ann',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { 'scopes/x': ['y'] },
    });
  });
  test('under another name is refused', async () => {
    expect((await whoami(proxy.issue('somebody', []), headers)).code).toBe(401);
  });
  test('without a certificate of the proxy authority changes nothing', async () => {
    expect((await whoami(cluster.issue('bob', []), headers)).user).toMatchObject({ name: 'bob' });
    expect((await whoami(undefined, headers)).user).toMatchObject({ name: 'system:anonymous' });
  });
});
