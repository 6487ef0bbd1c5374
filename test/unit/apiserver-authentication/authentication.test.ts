import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createAuthenticator,
  type RequestAuthenticator,
  type ServiceAccountOptions,
} from '../../../src/components/apiserver/authentication/authenticator.ts';
import { userOfSecret } from '../../../src/components/apiserver/authentication/bootstrap-token.ts';
import { impersonate } from '../../../src/components/apiserver/authentication/impersonation.ts';
import { openIdDocuments } from '../../../src/components/apiserver/authentication/openid-discovery.ts';
import { signJwt } from '../../../src/components/apiserver/authentication/service-account/jwt.ts';
import { readSigningKey } from '../../../src/components/apiserver/authentication/service-account/keys.ts';
import { parseTokenFile } from '../../../src/components/apiserver/authentication/token-file.ts';
import type { LoopbackClient, UserInfo } from '../../../src/components/apiserver/types.ts';
import { MemoryCache } from '../apiserver-authorization/memory-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-authentication-'));
afterAll(() => rmSync(folder, { recursive: true }));

const issuer = 'https://kubernetes.default.svc.cluster.local';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const rsaFile = join(folder, 'sa.key');
const ecFile = join(folder, 'ec.key');
writeFileSync(rsaFile, rsa.export({ type: 'pkcs8', format: 'pem' }));
writeFileSync(ecFile, ec.export({ type: 'sec1', format: 'pem' }));
writeFileSync(join(folder, 'sa.pub'), createPublicKey(rsa).export({ type: 'spki', format: 'pem' }));
const serviceAccount: ServiceAccountOptions = {
  keyFiles: [join(folder, 'sa.pub'), ecFile],
  signingKeyFile: rsaFile,
  issuers: [issuer],
  apiAudiences: [],
};

const secrets = { group: '', resource: 'secrets' };
let cache: MemoryCache;
let authenticator: RequestAuthenticator;

const loopbackOver = (memory: MemoryCache): LoopbackClient => ({
  get: async (resource, namespace, name) => memory.get(resource, namespace, name),
  create: async (_resource, object) => object,
  update: async () => {
    throw new Error('read only');
  },
  delete: async () => undefined,
});

beforeEach(() => {
  cache = new MemoryCache();
  cache.set({ group: '', resource: 'serviceaccounts' }, { metadata: { namespace: 'web', name: 'app', uid: 'sa-1' } });
  cache.set({ group: '', resource: 'pods' }, { metadata: { namespace: 'web', name: 'p', uid: 'pod-1' } });
  authenticator = createAuthenticator(
    { serviceAccount, bootstrapTokens: true, anonymous: true },
    { cache, loopback: loopbackOver(cache) },
  );
});

function request(headers: Record<string, string | string[]>): IncomingMessage {
  const req = new IncomingMessage(new Socket());
  for (const [name, value] of Object.entries(headers)) {
    req.headersDistinct[name] = [value].flat();
    req.headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return req;
}

const now = () => Math.floor(Date.now() / 1000);
const claims = (more: object = {}, bound: object = {}) => ({
  iss: issuer,
  sub: 'system:serviceaccount:web:app',
  aud: [issuer],
  iat: now(),
  nbf: now(),
  exp: now() + 600,
  jti: 'id-1',
  'kubernetes.io': {
    namespace: 'web',
    serviceaccount: { name: 'app', uid: 'sa-1' },
    pod: { name: 'p', uid: 'pod-1' },
    node: { name: 'n1', uid: 'node-1' },
    ...bound,
  },
  ...more,
});

describe('service account tokens', () => {
  test.each([
    ['RS256', rsaFile],
    ['ES256', ecFile],
  ])('signed with %s are accepted', async (_algorithm, file) => {
    const token = signJwt(claims(), readSigningKey(file));
    expect(await authenticator.authenticate(request({ authorization: `Bearer ${token}` }))).toEqual({
      name: 'system:serviceaccount:web:app',
      uid: 'sa-1',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:web', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=id-1'],
        'authentication.kubernetes.io/pod-name': ['p'],
        'authentication.kubernetes.io/pod-uid': ['pod-1'],
        'authentication.kubernetes.io/node-name': ['n1'],
        'authentication.kubernetes.io/node-uid': ['node-1'],
      },
    });
  });

  test.each<[string, object, object, string]>([
    ['expired', { exp: now() - 120 }, {}, 'expired'],
    ['not valid yet', { nbf: now() + 300 }, {}, 'not valid yet'],
    ['for another audience', { aud: ['vault'] }, {}, 'audiences'],
    ['of a service account made anew', {}, { serviceaccount: { name: 'app', uid: 'sa-0' } }, 'does not match claim'],
    ['of a pod that is gone', {}, { pod: { name: 'gone', uid: 'x' } }, 'pod gone has been deleted'],
    ['with another subject', { sub: 'system:serviceaccount:web:other' }, {}, 'subject'],
  ])('%s are refused', async (_name, more, bound, why) => {
    const token = signJwt(claims(more, bound), readSigningKey(rsaFile));
    await expect(authenticator.authenticateToken(token, [])).rejects.toThrow(why);
    await expect(authenticator.authenticate(request({ authorization: `Bearer ${token}` }))).rejects.toMatchObject({
      code: 401,
    });
  });

  test('a changed payload breaks the signature', async () => {
    const [header, payload = '', signature] = signJwt(claims(), readSigningKey(rsaFile)).split('.');
    const other = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('id-1', 'id-2')).toString(
      'base64url',
    );
    await expect(authenticator.authenticateToken([header, other, signature].join('.'), [])).rejects.toThrow(
      'invalid signature',
    );
  });

  test('are reviewed for the audiences that were asked', async () => {
    const token = signJwt(claims({ aud: ['vault', issuer] }), readSigningKey(rsaFile));
    expect((await authenticator.authenticateToken(token, ['vault', 'other']))?.audiences).toEqual(['vault']);
  });

  test('from Secrets are accepted while the Secret holds them', async () => {
    const token = signJwt(
      {
        iss: 'kubernetes/serviceaccount',
        sub: 'system:serviceaccount:web:app',
        'kubernetes.io/serviceaccount/namespace': 'web',
        'kubernetes.io/serviceaccount/secret.name': 'app-token',
        'kubernetes.io/serviceaccount/service-account.name': 'app',
        'kubernetes.io/serviceaccount/service-account.uid': 'sa-1',
      },
      readSigningKey(rsaFile),
    );
    await expect(authenticator.authenticateToken(token, [])).rejects.toThrow('invalidated');
    cache.set(secrets, {
      metadata: { namespace: 'web', name: 'app-token' },
      data: { token: Buffer.from(token).toString('base64') },
    });
    expect((await authenticator.authenticateToken(token, []))?.user.uid).toBe('sa-1');
  });
});

describe('bootstrap tokens', () => {
  const secret = (data: Record<string, string>) => ({
    type: 'bootstrap.kubernetes.io/token',
    metadata: { namespace: 'kube-system', name: 'bootstrap-token-abcdef' },
    data: Object.fromEntries(
      Object.entries({
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-authentication': 'true',
        ...data,
      }).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  });
  const user = (data: Record<string, string>) =>
    userOfSecret(secret(data) as never, 'abcdef', '0123456789abcdef', new Date('2030-01-01T00:00:00Z'));

  test.each<[string, Record<string, string>, string[] | undefined]>([
    ['plain', {}, ['system:bootstrappers']],
    [
      'with groups',
      { 'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token' },
      ['system:bootstrappers', 'system:bootstrappers:kubeadm:default-node-token'],
    ],
    ['with a group outside system:bootstrappers', { 'auth-extra-groups': 'system:masters' }, undefined],
    ['not yet expired', { expiration: '2030-01-01T00:00:01Z' }, ['system:bootstrappers']],
    ['expired', { expiration: '2029-12-31T23:59:59Z' }, undefined],
    ['with an unreadable expiry', { expiration: 'soon' }, undefined],
    ['for signing only', { 'usage-bootstrap-authentication': 'false' }, undefined],
    ['with another secret', { 'token-secret': '0123456789abcdee' }, undefined],
  ])('%s', (_name, data, groups) => {
    expect(user(data)?.groups).toEqual(groups);
  });

  test('authenticate requests', async () => {
    cache.set(secrets, secret({}));
    const good = request({ authorization: 'Bearer abcdef.0123456789abcdef' });
    expect((await authenticator.authenticate(good))?.name).toBe('system:bootstrap:abcdef');
    const bad = request({ authorization: 'Bearer abcdef.0000000000000000' });
    await expect(authenticator.authenticate(bad)).rejects.toMatchObject({ code: 401 });
  });
});

test('a request without credentials is anonymous', async () => {
  expect(await authenticator.authenticate(request({}))).toEqual({
    name: 'system:anonymous',
    groups: ['system:unauthenticated'],
  });
});

test('the token file knows quoted groups', () => {
  expect(parseTokenFile(Buffer.from('t1,ann,u1,"a,b"\n\nt2,bob,u2\n')).get('t1')).toEqual({
    name: 'ann',
    uid: 'u1',
    groups: ['a', 'b'],
  });
});

test('the discovery documents hold the public keys only', () => {
  const [jwks, configuration] = openIdDocuments(serviceAccount, '10.0.0.11:6443');
  const { keys } = JSON.parse(jwks?.body() ?? '') as { keys: Record<string, string>[] };
  expect(keys.map(({ kty, alg, use }) => [kty, alg, use])).toEqual([
    ['RSA', 'RS256', 'sig'],
    ['EC', 'ES256', 'sig'],
  ]);
  expect(keys.some((key) => 'd' in key)).toBe(false);
  expect(JSON.parse(configuration?.body() ?? '')).toMatchObject({
    issuer,
    jwks_uri: 'https://10.0.0.11:6443/openid/v1/jwks',
    id_token_signing_alg_values_supported: ['ES256', 'RS256'],
  });
});

describe('impersonation', () => {
  const admin: UserInfo = { name: 'admin', groups: ['system:authenticated'] };
  const asked: string[] = [];
  const may = {
    authorize: (a: { verb: string; resource: string; subresource: string; name: string; namespace: string }) => {
      asked.push([a.verb, a.resource, a.subresource, a.namespace, a.name].filter((part) => part !== '').join(' '));
      return { decision: a.name === 'system:masters' ? ('no-opinion' as const) : ('allow' as const) };
    },
  };
  test.each<[Record<string, string | string[]>, UserInfo, string[]]>([
    [{}, admin, []],
    [{ 'impersonate-user': 'bob' }, { name: 'bob', groups: ['system:authenticated'] }, ['impersonate users bob']],
    [
      { 'impersonate-user': 'system:serviceaccount:web:app' },
      {
        name: 'system:serviceaccount:web:app',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:web', 'system:authenticated'],
      },
      ['impersonate serviceaccounts web app'],
    ],
    [
      {
        'impersonate-user': 'bob',
        'impersonate-group': ['a', 'b'],
        'impersonate-uid': '7',
        'impersonate-extra-x%2fy': 'z',
      },
      { name: 'bob', uid: '7', groups: ['a', 'b', 'system:authenticated'], extra: { 'x/y': ['z'] } },
      [
        'impersonate users bob',
        'impersonate groups a',
        'impersonate groups b',
        'impersonate userextras x/y z',
        'impersonate uids 7',
      ],
    ],
  ])('%j', async (headers, user, questions) => {
    asked.length = 0;
    expect(await impersonate(request(headers), admin, may)).toEqual(user);
    expect(asked).toEqual(questions);
  });
  test('of what one may not is refused', async () => {
    const headers = { 'impersonate-user': 'bob', 'impersonate-group': ['system:masters'] };
    await expect(impersonate(request(headers), admin, may)).rejects.toThrow(
      'groups "system:masters" is forbidden: User "admin" cannot impersonate resource "groups" in API group "" at the cluster scope',
    );
  });
});
