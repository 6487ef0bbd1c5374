/** The keys that sign and verify service account tokens, and their JSON Web Key form. */
import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type SigningAlgorithm = 'RS256' | 'ES256' | 'ES384' | 'ES512';

export interface VerificationKey {
  /** As upstream makes it: SHA-256 of the public key's DER, base64url. */
  id: string;
  key: KeyObject;
  algorithm: SigningAlgorithm;
}

export interface SigningKey {
  id: string;
  key: KeyObject;
  algorithm: SigningAlgorithm;
}

/** Public keys of a PEM file: of public keys, certificates or private keys. Throws when there is none. */
export function readVerificationKeys(path: string): VerificationKey[] {
  const blocks = readFileSync(path, 'utf8').match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  // "EC PARAMETERS" stands before keys made by old openssl commands.
  const keys = blocks
    .filter((block) => !block.includes('PARAMETERS-----'))
    .map((block) => verificationKey(createPublicKey(block)));
  if (keys.length === 0) throw new Error(`${path} does not contain a valid RSA or ECDSA public key`);
  return keys;
}

export function verificationKey(key: KeyObject): VerificationKey {
  const der = key.export({ type: 'spki', format: 'der' });
  return { id: createHash('sha256').update(der).digest('base64url'), key, algorithm: algorithmOf(key) };
}

export function readSigningKey(path: string): SigningKey {
  const key = createPrivateKey(readFileSync(path));
  const { id, algorithm } = verificationKey(createPublicKey(key));
  return { id, key, algorithm };
}

function algorithmOf(key: KeyObject): SigningAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return 'ES256';
  if (curve === 'secp384r1') return 'ES384';
  if (curve === 'secp521r1') return 'ES512';
  throw new Error(
    `service account key is neither RSA nor ECDSA on P-256, P-384 or P-521 but ${curve ?? key.asymmetricKeyType}`,
  );
}

export interface PublicJsonWebKey extends JsonWebKey {
  use: 'sig';
  kid: string;
  alg: SigningAlgorithm;
}

export function jsonWebKey({ id, key, algorithm }: VerificationKey): PublicJsonWebKey {
  return { use: 'sig', kid: id, alg: algorithm, ...key.export({ format: 'jwk' }) };
}
