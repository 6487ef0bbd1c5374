/**
 * Encryption of values in etcd, byte for byte as upstream's kube-apiserver writes them: a prefix that names provider and key
 * (`k8s:enc:aescbc:v1:key1:`), and what the provider makes of the JSON.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';

/** What every sealed value begins with. */
export const sealedMark = 'k8s:enc:';

export interface KeyTransformer {
  /** Of the key, with its colon. */
  name: string;
  seal(plain: Buffer, path: string): Buffer;
  /** @throws what is wrong with the value, in upstream's words */
  open(sealed: Buffer, path: string): Buffer;
}

/** One entry of `providers`: its first key writes, all read. */
export interface Provider {
  /** `k8s:enc:aescbc:v1:`; empty for identity. */
  prefix: string;
  keys: KeyTransformer[];
  /** When the prefix is ours and the key is not. */
  unknownKey: string;
}

const tooShort = 'the stored data was shorter than the required size';

type MakeTransformer = (name: string, key: Buffer) => KeyTransformer;

/** AES-CBC with PKCS #7: initialization vector, cipher text. */
const aescbc: MakeTransformer = (name, key) => {
  const algorithm = `aes-${key.length * 8}-cbc`;
  return {
    name: `${name}:`,
    seal(plain) {
      const vector = randomBytes(16);
      const cipher = createCipheriv(algorithm, key, vector);
      return Buffer.concat([vector, cipher.update(plain), cipher.final()]);
    },
    open(sealed) {
      if (sealed.length < 16) throw new Error(tooShort);
      if (sealed.length % 16) throw new Error('the stored data is not a multiple of the block size');
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, 16));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()]);
      } catch (cause) {
        throw new Error('invalid padding on input', { cause });
      }
    },
  };
};

/** AES-GCM: nonce, cipher text, tag; bound to the path in etcd. */
const aesgcm: MakeTransformer = (name, key) => {
  const algorithm = `aes-${key.length * 8}-gcm` as 'aes-256-gcm';
  return {
    name: `${name}:`,
    seal(plain, path) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv(algorithm, key, nonce);
      cipher.setAAD(Buffer.from(path));
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, path) {
      if (sealed.length < 12 + 16) throw new Error(tooShort);
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, 12));
      decipher.setAAD(Buffer.from(path));
      decipher.setAuthTag(sealed.subarray(-16));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      } catch (cause) {
        throw new Error('cipher: message authentication failed', { cause });
      }
    },
  };
};

/** XSalsa20 and Poly1305: nonce, tag, cipher text. */
const secretbox: MakeTransformer = (name, key) => ({
  name: `${name}:`,
  seal(plain) {
    const nonce = randomBytes(24);
    return Buffer.concat([nonce, nacl.secretbox(plain, nonce, key)]);
  },
  open(sealed) {
    if (sealed.length < 24 + 16) throw new Error(tooShort);
    const plain = nacl.secretbox.open(sealed.subarray(24), sealed.subarray(0, 24), key);
    if (!plain) throw new Error('output array was not large enough for encryption');
    return Buffer.from(plain);
  },
});

/** Leaves values as they are, and refuses those that somebody has sealed. */
export const identity: Provider = {
  prefix: '',
  keys: [
    {
      name: '',
      seal: (plain) => plain,
      open(value) {
        if (value.subarray(0, sealedMark.length).toString() === sealedMark)
          throw new Error('identity transformer tried to read encrypted data');
        return value;
      },
    },
  ],
  unknownKey: '',
};

export const keyProviders = {
  aescbc: { make: aescbc, sizes: [16, 24, 32], label: 'AES' },
  aesgcm: { make: aesgcm, sizes: [16, 24, 32], label: 'AES' },
  secretbox: { make: secretbox, sizes: [32], label: 'Secretbox' },
} as const;

export type KeyProviderName = keyof typeof keyProviders;

export function keyProvider(name: KeyProviderName, keys: readonly { name: string; secret: Buffer }[]): Provider {
  const { make, label } = keyProviders[name];
  return {
    prefix: `${sealedMark}${name}:v1:`,
    keys: keys.map((key) => make(key.name, key.secret)),
    unknownKey: `no matching key was found for the provided ${label} transformer`,
  };
}

export interface Opened {
  plain: Buffer;
  /** The prefix of provider and key; empty: it was not sealed. */
  sealedBy: string;
}

/** What new values of a list of providers begin with. */
export const writerPrefix = ([first]: readonly Provider[]): string =>
  first ? `${first.prefix}${first.keys[0]?.name ?? ''}` : '';

export function sealWith(providers: readonly Provider[], plain: Buffer, path: string): Buffer {
  const key = providers[0]?.keys[0];
  const prefix = writerPrefix(providers);
  return key && prefix ? Buffer.concat([Buffer.from(prefix), key.seal(plain, path)]) : plain;
}

/** Every provider and key whose name the value bears is tried. @throws why none can read it */
export function openWith(providers: readonly Provider[], value: Buffer, path: string): Opened {
  const begin = value.subarray(0, 512).toString('latin1');
  const problems: string[] = [];
  for (const { prefix, keys, unknownKey } of providers) {
    if (!begin.startsWith(prefix)) continue;
    const named = keys.filter(({ name }) => begin.startsWith(name, prefix.length));
    for (const key of named) {
      const sealedBy = `${prefix}${key.name}`;
      try {
        return { plain: key.open(value.subarray(sealedBy.length), path), sealedBy };
      } catch (error) {
        // Identity may stand before the provider that has sealed the value.
        if (prefix || providers.length === 1) problems.push((error as Error).message);
      }
    }
    if (!named.length) problems.push(unknownKey);
  }
  const distinct = [...new Set(problems)];
  if (!distinct.length) throw new Error('no matching prefix found');
  throw new Error(distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`);
}
