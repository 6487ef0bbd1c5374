/** JSON Web Tokens (RFC 7519) in compact form, signed with RS256 or ES256/384/512, by node:crypto. */
import { sign, verify } from 'node:crypto';
import type { SigningAlgorithm, SigningKey, VerificationKey } from './keys.ts';

export interface JwtClaims {
  iss?: string;
  sub?: string;
  aud?: string | string[];
  exp?: number;
  nbf?: number;
  iat?: number;
  jti?: string;
  [claim: string]: unknown;
}

const digests: Record<SigningAlgorithm, string> = {
  RS256: 'sha256',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
};

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function signJwt(claims: JwtClaims, { id, key, algorithm }: SigningKey): string {
  const text = `${encode({ alg: algorithm, kid: id })}.${encode(claims)}`;
  const signature = sign(digests[algorithm], Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

export interface ParsedJwt {
  header: { alg?: string; kid?: string };
  claims: JwtClaims;
  /** The signed text and the signature. */
  text: string;
  signature: Buffer;
}

/** Without any check; undefined when it is not a JWT at all. */
export function parseJwt(token: string): ParsedJwt | undefined {
  const [header, payload, signature, ...more] = token.split('.');
  if (!header || !payload || !signature || more.length) return undefined;
  const parsed = { header: decode(header), claims: decode(payload) };
  if (!parsed.header || !parsed.claims) return undefined;
  return {
    header: parsed.header as ParsedJwt['header'],
    claims: parsed.claims as JwtClaims,
    text: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

function decode(part: string): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The key that the token names is tried first, then all others of its algorithm. */
export function isSignedByOneOf({ header, text, signature }: ParsedJwt, keys: VerificationKey[]): boolean {
  const usable = keys.filter(({ algorithm }) => algorithm === header.alg);
  const named = usable.filter(({ id }) => id === header.kid);
  return (named.length ? named : usable).some(({ key, algorithm }) =>
    verify(digests[algorithm], Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }, signature),
  );
}
