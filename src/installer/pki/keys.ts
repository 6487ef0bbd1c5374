/** Private keys: made by node:crypto, written in the PEM forms that kubeadm writes. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { EncryptionAlgorithm } from '../config/types.ts';

const generate = promisify(generateKeyPair);

/** Made off the main thread: several at once use several cores. */
export async function makeKey(algorithm: EncryptionAlgorithm = 'RSA-2048'): Promise<KeyObject> {
  const [family, size = ''] = algorithm.split('-');
  if (family === 'ECDSA') {
    return (await generate('ec', { namedCurve: size === 'P384' ? 'P-384' : 'P-256' })).privateKey;
  }
  return (await generate('rsa', { modulusLength: Number(size), publicExponent: 0x10001 })).privateKey;
}

/** `RSA PRIVATE KEY` or `EC PRIVATE KEY`, as Go's keyutil writes them. */
export function privateKeyPem(key: KeyObject): string {
  return key.asymmetricKeyType === 'ec'
    ? key.export({ type: 'sec1', format: 'pem' }).toString()
    : key.export({ type: 'pkcs1', format: 'pem' }).toString();
}

export function publicKeyPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/** @throws Error for what is no key; one with a passphrase is refused, since nobody is there to type it when it is needed */
export function readPrivateKey(pem: string | Buffer): KeyObject {
  if (encrypted.test(pem.toString())) {
    throw new Error(
      'the key is encrypted with a passphrase; write it without: openssl pkey -in <file> -out <new file>',
    );
  }
  return createPrivateKey(pem);
}
