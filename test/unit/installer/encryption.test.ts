/** The key that encrypts secrets in etcd: the file, the order of a rotation's steps, and what a host's state means. */
import { describe, expect, it } from 'vitest';
import { parseEncryptionConfiguration } from '../../../src/components/apiserver/storage/encryption/config.ts';
import {
  formatEncryption,
  makeEncryptionKey,
  parseEncryption,
} from '../../../src/installer/encryption/configuration.ts';
import { keysAfter, nextStep } from '../../../src/installer/encryption/rotate.ts';
import { sealedBy } from '../../../src/installer/encryption/status.ts';
import { compareProgress } from '../../../src/installer/fleet/rotate-encryption.ts';
import { redact } from '../../../src/installer/health/redact.ts';
import { differenceOf } from '../../../src/installer/host/differences.ts';

const [one, two] = [makeEncryptionKey(1), makeEncryptionKey(2)] as const;
const names = (keys: readonly { name: string }[]) => keys.map(({ name }) => name);

describe('the encryption configuration', () => {
  it('is what kube-apiserver takes: secretbox first, and what was never encrypted can be read', () => {
    const [entry, ...more] = parseEncryptionConfiguration(formatEncryption([one, two]));
    expect(more).toEqual([]);
    expect(entry?.resources).toEqual([{ group: '', resource: 'secrets' }]);
    expect(entry?.providers.map(({ prefix, keys }) => [prefix, names(keys)])).toEqual([
      ['k8s:enc:secretbox:v1:', ['key-1:', 'key-2:']],
      ['', ['']],
    ]);
  });

  it('is read again as it was written', () => {
    expect(parseEncryption(formatEncryption([two, one]), 'f')).toEqual([two, one]);
  });

  it.each([
    ['of somebody else', 'kind: EncryptionConfiguration\n'],
    ['with a change by hand', formatEncryption([one]).replace('- secrets', '- secrets\n  - configmaps')],
    ['with a key of another name', formatEncryption([{ ...one, name: 'mine' }])],
    ['that is no YAML', '{'],
  ])('%s is left to whoever wrote it', (_what, text) => {
    expect(() => parseEncryption(text, '/pki/encryption.yaml')).toThrow(
      '/pki/encryption.yaml is not as kinit writes it',
    );
  });
});

it('a dry run names the file, and does not show the key', () => {
  const file = { path: '/pki/encryption.yaml', after: Buffer.from(formatEncryption([one])), mode: 0o600 };
  expect(differenceOf(file)).toBe('(holds a secret: not shown)');
  expect(redact(formatEncryption([one]))).not.toContain(one.secret);
});

describe('a rotation', () => {
  it('makes the new key known, then uses it, then drops the old one, from whatever step it was broken off at', () => {
    const added = keysAfter('add', [one]);
    expect([nextStep([one]), names(added), nextStep(added)]).toEqual(['add', ['key-1', 'key-2'], 'use']);
    const used = keysAfter('use', added);
    expect([names(used), nextStep(used)]).toEqual([['key-2', 'key-1'], 'rewrite']);
    const done = keysAfter('rewrite', used);
    expect([names(done), nextStep(done)]).toEqual([['key-2'], 'add']);
    expect(done[0]?.secret).toBe(added[1]?.secret);
    expect(names(keysAfter('add', done))).toEqual(['key-2', 'key-3']);
  });
});

it('of several control planes goes on with the file that is furthest, wherever it was broken off', () => {
  const added = keysAfter('add', [one]);
  const used = keysAfter('use', added);
  const done = keysAfter('rewrite', used);
  const order = [[one], added, used, done, keysAfter('add', done)];
  for (const [i, a] of order.entries())
    for (const [j, b] of order.entries()) expect(Math.sign(compareProgress(a, b))).toBe(Math.sign(i - j));
});

it.each([
  ['k8s:enc:secretbox:v1:key-1:\u0000\u0001:', 'k8s:enc:secretbox:v1:key-1'],
  ['k8s:enc:aescbc:v1:a:b', 'k8s:enc:aescbc:v1:a'],
  ['{"kind":"Secret"}', 'plain'],
  ['', 'plain'],
])('%j in etcd counts as %s', (value, by) => expect(sealedBy(Buffer.from(value, 'latin1'))).toBe(by));
