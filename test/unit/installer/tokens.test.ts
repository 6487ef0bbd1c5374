import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { clusterInfoKubeconfig } from '../../../src/installer/control-plane/cluster-objects.ts';
import { KinitError } from '../../../src/installer/errors.ts';
import { makeKey, privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate, publicKeyPin } from '../../../src/installer/pki/x509.ts';
import { discoverByToken } from '../../../src/installer/tokens/discovery.ts';
import { generateToken, parseToken } from '../../../src/installer/tokens/format.ts';
import { joinCommand } from '../../../src/installer/tokens/join-command.ts';
import { isSignatureValid, signDetached } from '../../../src/installer/tokens/jws.ts';
import { buildTokenSecret, isExpired, readTokenSecret } from '../../../src/installer/tokens/secret.ts';

const signal = new AbortController().signal;
const token = 'abcdef.0123456789abcdef';

describe('a bootstrap token', () => {
  it('is made of random characters of the right form', () => {
    const made = Array.from({ length: 50 }, generateToken);
    expect(new Set(made).size).toBe(50);
    for (const text of made) expect(parseToken(text), text).toBeDefined();
  });

  it('becomes a Secret and comes back', () => {
    const now = new Date('2026-01-01T00:00:00.123Z');
    const options = {
      token,
      ttl: '24h',
      usages: ['signing', 'authentication'],
      groups: ['system:bootstrappers:a'],
      description: 'x',
    };
    const secret = buildTokenSecret(options, now);
    expect(secret.metadata).toEqual({ name: 'bootstrap-token-abcdef', namespace: 'kube-system' });
    expect(secret.type).toBe('bootstrap.kubernetes.io/token');
    const decoded = Object.fromEntries(
      Object.entries(secret.data!).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
    expect(decoded).toEqual({
      'token-id': 'abcdef',
      'token-secret': '0123456789abcdef',
      description: 'x',
      expiration: '2026-01-02T00:00:00Z',
      'usage-bootstrap-signing': 'true',
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': 'system:bootstrappers:a',
    });
    const read = readTokenSecret(secret)!;
    expect(read).toMatchObject({ token, expires: '2026-01-02T00:00:00Z', description: 'x' });
    expect([isExpired(read, now), isExpired(read, new Date('2026-01-02T00:00:00Z'))]).toEqual([false, true]);
  });

  it('never expires with a lifetime of 0', () => {
    expect(buildTokenSecret({ token, ttl: '0', usages: [], groups: [] }).data).not.toHaveProperty('expiration');
  });
});

describe('the signature of cluster-info', () => {
  const parsed = parseToken(token)!;
  // From the specification of the format: header {"alg":"HS256","kid":"abcdef"}, no payload.
  it('has a detached payload and the id of the token', () => {
    const [header, payload, signature] = signDetached('content', parsed).split('.');
    expect(Buffer.from(header!, 'base64url').toString()).toBe('{"alg":"HS256","kid":"abcdef"}');
    expect(payload).toBe('');
    expect(Buffer.from(signature!, 'base64url')).toHaveLength(32);
  });
  it.each([
    ['the right one', (s: string) => s, 'content', token, true],
    ['another content', (s: string) => s, 'other', token, false],
    ['another secret', (s: string) => s, 'content', 'abcdef.fedcba9876543210', false],
    ['no signature', () => '..', 'content', token, false],
    [
      'an unsigned header',
      (s: string) => `${Buffer.from('{"alg":"none"}').toString('base64url')}..${s.split('..')[1]}`,
      'content',
      token,
      false,
    ],
    ['an attached payload', (s: string) => s.replace('..', '.eA.'), 'content', token, false],
  ])('is checked: %s', (_, change, content, by, expected) => {
    expect(isSignatureValid(change(signDetached('content', parsed)), content, parseToken(by)!)).toBe(expected);
  });
});

describe('discovery', () => {
  let server: ReturnType<typeof createServer>;
  let endpoint = '';
  let pin = '';
  let answer: (request: IncomingMessage) => { status: number; body: string };
  let signed: Record<string, string> = {};

  beforeAll(async () => {
    const dates = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
    const caKey = await makeKey('ECDSA-P256');
    const ca = issueCertificate({ commonName: 'kubernetes', isCa: true, ...dates }, caKey);
    const key = await makeKey('ECDSA-P256');
    const leaf = issueCertificate(
      { commonName: 'kube-apiserver', altNames: ['127.0.0.1'], usages: ['serverAuth'], ...dates },
      key,
      { certificate: ca, key: caKey },
    );
    pin = publicKeyPin(ca);
    server = createServer({ key: privateKeyPem(key), cert: certificatePem(leaf) }, (request, response) => {
      const { status, body } = answer(request);
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    endpoint = `127.0.0.1:${port}`;
    const config = resolveInit(
      { controlPlaneEndpoint: endpoint },
      noConfig,
      { hostname: 'cp1', address: '10.0.0.1' },
      [],
    );
    const kubeconfig = clusterInfoKubeconfig(config, certificatePem(ca));
    signed = { kubeconfig, 'jws-kubeconfig-abcdef': signDetached(kubeconfig, parseToken(token)!) };
    answer = () => ({ status: 200, body: JSON.stringify({ data: signed }) });
  });
  afterAll(() => {
    server.close();
  });

  const discover = (more: object = {}, timeoutMs = 0) =>
    discoverByToken(
      { token, apiServerEndpoint: endpoint, caCertHashes: [pin], unsafeSkipCAVerification: false, ...more },
      timeoutMs,
      signal,
    ).catch((error: unknown) => error as KinitError);

  it('finds the API server and its CA', async () => {
    expect(await discover()).toMatchObject({ server: `https://${endpoint}` });
  });
  it.each([
    ['waits for the signature when the token is valid', 200, { server: expect.stringMatching(/^https:/) }],
    ['does not wait for the signature of a token that the API server refuses', 401, { code: 'Discovery' }],
  ])('%s', async (_, status, outcome) => {
    const usual = answer;
    const { kubeconfig } = signed;
    let asked = 0;
    answer = (request) => {
      if (request.url === '/version' && request.headers.authorization === `Bearer ${token}`)
        return { status, body: '' };
      return asked++ ? usual(request) : { status: 200, body: JSON.stringify({ data: { kubeconfig } }) };
    };
    const found = await discover({}, 5_000);
    answer = usual;
    expect(found).toMatchObject(outcome);
  });
  it('works without a pin when that is asked for', async () => {
    expect(await discover({ caCertHashes: [], unsafeSkipCAVerification: true })).toMatchObject({
      server: `https://${endpoint}`,
    });
  });
  it.each([
    ['a wrong hash', () => ({ caCertHashes: [`sha256:${'0'.repeat(64)}`] }), 'Discovery', /CA is not the one/],
    ['an unknown token', () => ({ token: 'zzzzzz.0123456789abcdef' }), 'Discovery', /does not know the token "zzzzzz/],
    ['a wrong secret', () => ({ token: 'abcdef.fedcba9876543210' }), 'Discovery', /secret part of the token/],
    ['a closed port', () => ({ apiServerEndpoint: '127.0.0.1:1' }), 'Connection', /cannot reach the API server/],
  ])('fails with %s', async (_, more, code, message) => {
    const error = await discover(more());
    expect(error).toBeInstanceOf(KinitError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as KinitError).details.advice).toBeTruthy();
  });
  it('fails when the server hides cluster-info', async () => {
    const before = answer;
    answer = () => ({ status: 403, body: '{}' });
    expect(await discover()).toMatchObject({
      code: 'Discovery',
      details: { seen: expect.stringContaining('HTTP 403') },
    });
    answer = before;
  });
  it('fails when the verified answer differs from the first', async () => {
    const before = answer;
    let calls = 0;
    answer = (request) =>
      calls++ ? { status: 200, body: JSON.stringify({ data: { ...signed, kubeconfig: 'x' } }) } : before(request);
    expect(await discover()).toMatchObject({
      code: 'Discovery',
      message: expect.stringContaining('answered differently'),
    });
    answer = before;
  });
});

it('the command for joining pins the CA, and names the certificate key for a control plane', async () => {
  const dates = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const ca = issueCertificate({ commonName: 'kubernetes', isCa: true, ...dates }, await makeKey('ECDSA-P256'));
  const worker = `kinit join api.test:6443 --token ${token} --discovery-token-ca-cert-hash ${publicKeyPin(ca)}`;
  expect(joinCommand('https://api.test:6443', token, certificatePem(ca))).toBe(worker);
  expect(joinCommand('https://api.test:6443', token, certificatePem(ca), 'ab')).toBe(
    `${worker} --control-plane --certificate-key ab`,
  );
});
