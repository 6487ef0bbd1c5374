/** Encryption at rest: the format of values, and which configurations are refused with what words. */
import { describe, expect, it } from 'vitest';
import { parseEncryptionConfiguration } from '../../../src/components/apiserver/storage/encryption/config.ts';
import {
  identity,
  type KeyProviderName,
  keyProvider,
  openWith,
  sealWith,
} from '../../../src/components/apiserver/storage/encryption/providers.ts';

const path = '/registry/secrets/default/s';
const plain = Buffer.from('{"kind":"Secret"}');
const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
const other = Buffer.alloc(32, 7);
const provider = (kind: KeyProviderName, name = 'key1', secret = bytes) => keyProvider(kind, [{ name, secret }]);
const kinds: KeyProviderName[] = ['aescbc', 'aesgcm', 'secretbox'];

const overhead = { aescbc: 16 + (16 - (plain.length % 16)), aesgcm: 12 + 16, secretbox: 24 + 16 };

describe.each(kinds)('%s', (kind) => {
  it('begins with provider and key, has the size of its format and is opened again', () => {
    const sealed = sealWith([provider(kind)], plain, path);
    const prefix = `k8s:enc:${kind}:v1:key1:`;
    expect(sealed.subarray(0, prefix.length).toString()).toBe(prefix);
    expect(sealed.length).toBe(prefix.length + plain.length + overhead[kind]);
    expect(openWith([provider(kind)], sealed, path)).toEqual({ plain, sealedBy: prefix });
    expect(sealWith([provider(kind)], plain, path)).not.toEqual(sealed);
  });

  it('is opened by any key and provider of the list, whatever stands first', () => {
    const sealed = sealWith([provider(kind)], plain, path);
    const keys = keyProvider(kind, [
      { name: 'key2', secret: other },
      { name: 'key1', secret: bytes },
    ]);
    expect(openWith([keys], sealed, path).plain).toEqual(plain);
    expect(openWith([identity, provider(kind)], sealed, path).plain).toEqual(plain);
    expect(openWith([provider(kind, 'key1', other), provider(kind)], sealed, path).plain).toEqual(plain);
  });
});

it('a value that is moved to another place is refused by aesgcm', () => {
  const sealed = sealWith([provider('aesgcm')], plain, path);
  expect(() => openWith([provider('aesgcm')], sealed, '/registry/secrets/other/s')).toThrow(
    'cipher: message authentication failed',
  );
});

it.each([
  ['an unknown key', [provider('aescbc', 'key9')], 'no matching key was found for the provided AES transformer'],
  ['another provider', [provider('secretbox')], 'no matching prefix found'],
  ['another key of the same name', [provider('aescbc', 'key1', other)], /invalid padding on input/],
  ['identity', [identity], 'identity transformer tried to read encrypted data'],
])('says of %s what upstream says', (_what, providers, message) => {
  // Padding is right by chance once in 256 times: this one is wrong for certain.
  const sealed = Buffer.concat([Buffer.from('k8s:enc:aescbc:v1:key1:'), Buffer.alloc(32, 3)]);
  expect(() => openWith(providers, sealed, path)).toThrow(message);
});

it('opens what openssl has sealed', () => {
  // openssl enc -aes-256-cbc with key 00…1f and vector 00…0f, of the text above.
  const sealed = Buffer.concat([
    Buffer.from('k8s:enc:aescbc:v1:key1:'),
    Buffer.from(Array.from({ length: 16 }, (_, i) => i)),
    Buffer.from('1e99f42a87db9ef8ab2a289efc82058d9b6df3c3b806157e27663d659124bb7a', 'hex'),
  ]);
  expect(openWith([provider('aescbc')], sealed, path).plain).toEqual(plain);
});

const configuration = (resources: string) =>
  `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n${resources}`;
const secret = bytes.toString('base64');

describe('an EncryptionConfiguration', () => {
  it('names resources by group and takes wildcards', () => {
    const found = parseEncryptionConfiguration(
      configuration(
        `- {resources: [secrets, deployments.apps, "*.batch"], providers: [{aescbc: {keys: [{name: k, secret: ${secret}}]}}, {identity: {}}]}\n- {resources: ["*.*"], providers: [{identity: {}}]}`,
      ),
    );
    expect(found.map(({ resources }) => resources)).toEqual([
      [
        { group: '', resource: 'secrets' },
        { group: 'apps', resource: 'deployments' },
        { group: 'batch', resource: '*' },
      ],
      [{ group: '*', resource: '*' }],
    ]);
    expect(found[0]?.providers.map(({ prefix }) => prefix)).toEqual(['k8s:enc:aescbc:v1:', '']);
  });

  const keys = `[{aescbc: {keys: [{name: k, secret: ${secret}}]}}]`;
  it.each([
    ['no resources', '', 'resources: Required value: at least one resources is required'],
    [
      'a short key',
      '- {resources: [secrets], providers: [{secretbox: {keys: [{name: k, secret: c2hvcnQ=}]}}]}',
      'resources[0].providers[0].secretbox.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 5, expected one of [32]',
    ],
    [
      'a key that is not base64',
      '- {resources: [secrets], providers: [{aesgcm: {keys: [{name: k, secret: "%%"}]}}]}',
      '"REDACTED": secrets must be base64 encoded',
    ],
    [
      'a key without name',
      `- {resources: [secrets], providers: [{aesgcm: {keys: [{secret: ${secret}}]}}]}`,
      'keys[0].name: Required value',
    ],
    [
      'two providers in one',
      '- {resources: [secrets], providers: [{identity: {}, aescbc: {}}]}',
      'more than one provider specified in a single element',
    ],
    [
      'an unknown provider',
      '- {resources: [secrets], providers: [{rot13: {}}]}',
      'does not contain any of the expected providers',
    ],
    ['kms', '- {resources: [secrets], providers: [{kms: {}}]}', 'this API server has no kms provider'],
    ['a bare asterisk', `- {resources: ["*"], providers: ${keys}}`, "use '*.' to encrypt all the resources"],
    ['masked resources', `- {resources: [secrets, "*."], providers: ${keys}}`, 'using overlapping resources'],
    [
      'one resource twice',
      `- {resources: [secrets, secrets], providers: ${keys}}`,
      'cannot be specified multiple times',
    ],
    ['capital letters', `- {resources: [Secrets], providers: ${keys}}`, 'should not contain capital letters'],
  ])('with %s is refused', (_what, resources, message) => {
    expect(() => parseEncryptionConfiguration(configuration(resources))).toThrow(message);
  });

  it('of another kind is refused, and the key is in no message', () => {
    expect(() => parseEncryptionConfiguration('kind: Secret')).toThrow('is no EncryptionConfiguration');
  });
});
