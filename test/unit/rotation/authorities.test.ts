/** What each step of a rotation makes of bundles and keys. */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { loadAuthority } from '../../../src/components/controller-manager/certificates/issue.ts';
import { privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import {
  keyId,
  namesOf,
  type Pair,
  pairAfter,
  type RotationStep,
  readTrusted,
  servicePair,
} from '../../../src/installer/rotation/authorities.ts';

const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function authority(): Pair {
  const key = newKey();
  const request = { commonName: 'kubernetes', isCa: true, altNames: [], ...validity };
  return { trusted: certificatePem(issueCertificate(request, key)), key: privateKeyPem(key) };
}

function service(): Pair {
  const key = newKey();
  return servicePair(key, privateKeyPem(key));
}

const ids = ({ trusted }: Pair) => readTrusted(trusted).map(({ key }) => keyId(key));
const idOf = ({ key }: Pair) => keyId(createPublicKey(key));

describe.each([
  ['a certificate authority', 'ca', authority],
  ['the keys of service account tokens', 'sa', service],
] as const)('a rotation of %s', (_what, name, make) => {
  const [old, next] = [make(), make()];
  const trust = pairAfter('trust', name, old, next);
  const issue = pairAfter('issue', name, trust, next);
  const finish = pairAfter('finish', name, issue, undefined);

  it('lets everybody believe both before the new one signs', () => {
    expect(trust.key).toBe(old.key);
    expect(ids(trust)).toEqual([idOf(old), idOf(next)]);
  });

  it('puts the new one first when it signs, and goes on believing the old one', () => {
    expect(issue.key).toBe(next.key);
    expect(ids(issue)).toEqual([idOf(next), idOf(old)]);
  });

  it('leaves the new one alone', () => {
    expect(finish).toEqual({ key: next.key, trusted: next.trusted });
  });

  it.each<[RotationStep, Pair, Pair | undefined]>([
    ['trust', trust, next],
    ['issue', issue, undefined],
    ['issue', issue, next],
    ['issue', { key: next.key, trusted: trust.trusted }, next],
    ['finish', finish, undefined],
  ])('made twice, the step %s changes nothing more', (step, current, waiting) => {
    expect(pairAfter(step, name, current, waiting)).toEqual({ trust, issue, finish }[step]);
  });

  it('is refused with a key that fits to nothing', () => {
    expect(() => pairAfter('trust', name, { ...old, key: make().key }, next)).toThrow(/is not the key of anything in/);
  });
});

it('signs with the certificate of a bundle that fits to the key, in whatever order they are', () => {
  const [old, next] = [authority(), authority()];
  for (const trusted of [old.trusted + next.trusted, next.trusted + old.trusted]) {
    const { certificate } = loadAuthority(trusted, next.key);
    expect(certificate.fingerprint256).toBe(new X509Certificate(next.trusted).fingerprint256);
  }
});

it.each([
  [undefined, undefined],
  ['all', ['ca', 'front-proxy-ca', 'etcd-ca', 'sa']],
  ['etcd-ca', ['etcd-ca']],
])('takes %s for %j', (given, names) => {
  expect(namesOf(given)).toEqual(names);
});

it('tells which authorities there are when another is named', () => {
  expect(() => namesOf('etcd/ca')).toThrow(/there is no authority "etcd\/ca"/);
});
