/** Whether a file in a pod's volume is as the next step of a rotation needs it. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import { staleness } from '../../../src/installer/rotation/pods.ts';

const certificate = () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = { notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000) };
  return certificatePem(
    issueCertificate({ commonName: 'kubernetes', isCa: true, altNames: [], ...validity }, privateKey),
  );
};
const [old, next, foreign] = [certificate(), certificate(), certificate()];
const trusted = `${old}${next}`;
const token = (kid: string) =>
  `${[{ alg: 'RS256', kid }, { sub: 'x' }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')}.c2ln`;

it.each<[string, string, string | undefined]>([
  ['a bundle with both', trusted, undefined],
  ['a bundle with the old one alone', old, 'it lacks an authority of the bundle'],
  ["an authority of the user's own", foreign, undefined],
  ['a token of the new key', token('new'), undefined],
  ['a token of the old key', `${token('old')}\n`, 'the token is signed with the old key'],
  ['a name of a namespace', 'default', undefined],
  ['three words with points', 'a.b.c', undefined],
  ['nothing', '', undefined],
])('looks at %s', (_what, content, why) => {
  expect(staleness(content, { trusted, tokenKey: 'new' })).toBe(why);
});

it('leaves out what is not rotated', () => {
  expect(staleness(old, { tokenKey: 'new' })).toBeUndefined();
  expect(staleness(token('old'), { trusted })).toBeUndefined();
});
