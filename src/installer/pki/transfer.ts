/** The certificates and keys that all control planes share, and how they are encrypted on their way through the cluster. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { KinitError } from '../errors.ts';

/** Paths below the certificates folder. */
export const sharedFiles = [
  'ca.crt',
  'ca.key',
  'front-proxy-ca.crt',
  'front-proxy-ca.key',
  'sa.pub',
  'sa.key',
  'etcd/ca.crt',
  'etcd/ca.key',
  'encryption.yaml',
] as const;

export type SharedFile = (typeof sharedFiles)[number];

/** What a cluster need not have: kubeadm's clusters, and those that kinit made without encryption at rest, have none. */
export const optionalFile = 'encryption.yaml' satisfies SharedFile;

/** Keys of a Secret have no slash. */
export const secretField = (file: SharedFile): string => file.replaceAll('/', '-');

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

export const makeCertificateKey = (): string => randomBytes(keyBytes).toString('hex');

export const isCertificateKey = (text: string): boolean =>
  /^([0-9a-f]{2})+$/i.test(text) && text.length === 2 * keyBytes;

/** Without the key itself: it must not stand in a log. */
export const badCertificateKey = 'the certificate key is not 64 hexadecimal digits (32 bytes)';

/** AES-256-GCM as Go's `Seal` lays it out behind its nonce: nonce, cipher text, tag. */
export function encryptShared(plain: Buffer, certificateKey: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(certificateKey, 'hex'), nonce);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws KinitError when the key is another one, or the data is damaged */
export function decryptShared(sealed: Buffer, certificateKey: string): Buffer {
  const wrong = (cause?: unknown) =>
    new KinitError('Validation', 'the uploaded certificates cannot be decrypted with this certificate key', {
      advice:
        'upload them again on a control plane, and use the key that is printed: kinit init phase upload-certs --upload-certs',
      cause,
    });
  if (sealed.length < nonceBytes + tagBytes) throw wrong();
  try {
    const decipher = createDecipheriv(
      'aes-256-gcm',
      Buffer.from(certificateKey, 'hex'),
      sealed.subarray(0, nonceBytes),
    );
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw wrong(cause);
  }
}
