/** What can be rotated, its files, and what each step makes of them: plain text in, plain text out. */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { KinitError } from '../errors.ts';
import { publicKeyPem, readPrivateKey } from '../pki/keys.ts';

/** As the command line has it. */
export const rotatedNames = ['ca', 'front-proxy-ca', 'etcd-ca', 'sa'] as const;
export type RotatedName = (typeof rotatedNames)[number];

/** All trust the old one and the new one; the new one signs; only the new one is left. */
export const rotationSteps = ['trust', 'issue', 'finish'] as const;
export type RotationStep = (typeof rotationSteps)[number];

/** Below the certificates folder: what everybody believes, and the key that signs. */
export const rotatedFiles: Record<RotatedName, { trusted: string; key: string }> = {
  ca: { trusted: 'ca.crt', key: 'ca.key' },
  'front-proxy-ca': { trusted: 'front-proxy-ca.crt', key: 'front-proxy-ca.key' },
  'etcd-ca': { trusted: 'etcd/ca.crt', key: 'etcd/ca.key' },
  sa: { trusted: 'sa.pub', key: 'sa.key' },
};

/** Certificates, or public keys of service account tokens. */
export interface Trusted {
  /** One block of PEM. */
  pem: string;
  key: KeyObject;
}

/** @throws Error for what is neither a certificate nor a public key */
export function readTrusted(text: string): Trusted[] {
  const blocks = text.match(/-----BEGIN (CERTIFICATE|(?:RSA )?PUBLIC KEY)-----[\s\S]+?-----END \1-----/g) ?? [];
  return blocks.map((block) => ({
    pem: `${block}\n`,
    key: block.startsWith('-----BEGIN CERTIFICATE') ? new X509Certificate(block).publicKey : createPublicKey(block),
  }));
}

/** `kid` of service account tokens, and a short way to tell authorities from each other. */
export const keyId = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');

export const keyIdOfPrivate = (pem: string | Buffer): string => keyId(createPublicKey(readPrivateKey(pem)));

/** The pair of an authority: what everybody believes, and what signs. */
export interface Pair {
  trusted: string;
  key: string;
}

/** @throws KinitError when the key fits to nothing that is trusted */
function signerOf({ trusted, key }: Pair, name: RotatedName): Trusted {
  const id = keyIdOfPrivate(key);
  const found = readTrusted(trusted).find((one) => keyId(one.key) === id);
  if (found) return found;
  const files = rotatedFiles[name];
  throw new KinitError('Validation', `${files.key} is not the key of anything in ${files.trusted}`, {
    advice: 'put the pair in place that the cluster was made with',
  });
}

/**
 * The shared pair after a step. Which one signs comes first in the bundle: signers and the pins of join commands take the first.
 * @param next the new pair; absent when its key signs already, or is the only one
 */
export function pairAfter(step: RotationStep, name: RotatedName, current: Pair, next: Pair | undefined): Pair {
  const signer = signerOf(current, name);
  if (step === 'trust') {
    const added = next ? signerOf(next, name).pem : '';
    return { ...current, trusted: bundle([signer.pem, added]) };
  }
  if (step === 'issue' && next) {
    const newer = signerOf(next, name);
    return { key: next.key, trusted: bundle([newer.pem, ...readTrusted(current.trusted).map(({ pem }) => pem)]) };
  }
  // The step was broken off behind its last file, or ends here.
  const others = step === 'issue' ? readTrusted(current.trusted).map(({ pem }) => pem) : [];
  return { ...current, trusted: bundle([signer.pem, ...others]) };
}

const bundle = (blocks: readonly string[]): string => [...new Set(blocks)].join('');

/** Of a new pair of service account keys. */
export const servicePair = (key: KeyObject, keyPem: string): Pair => ({ trusted: publicKeyPem(key), key: keyPem });

/** @throws KinitError Usage */
export function namesOf(given: string | undefined): RotatedName[] | undefined {
  if (given === undefined) return undefined;
  if (given === 'all') return [...rotatedNames];
  const found = rotatedNames.find((name) => name === given);
  if (found) return [found];
  throw new KinitError('Usage', `there is no authority "${given}"`, {
    advice: `take one of ${rotatedNames.join(', ')}, or all`,
  });
}
