/** The detached signature of cluster-info: JWS with HMAC-SHA256, keyed by a bootstrap token's secret (RFC 7515, appendix F). */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Token } from './format.ts';

const base64url = (text: string) => Buffer.from(text).toString('base64url');

/** `<header>..<signature>`, byte for byte what the bootstrap signer writes. */
export function signDetached(content: string, { id, secret }: Token): string {
  const header = base64url(JSON.stringify({ alg: 'HS256', kid: id }));
  const signature = createHmac('sha256', secret)
    .update(`${header}.${base64url(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}

export function isSignatureValid(signature: string, content: string, { secret }: Token): boolean {
  const [header, payload, given] = signature.split('.');
  if (!header || payload !== '' || !given) return false;
  const decoded = parseHeader(header);
  if (decoded?.alg !== 'HS256') return false;
  const expected = createHmac('sha256', secret)
    .update(`${header}.${base64url(content)}`)
    .digest();
  const actual = Buffer.from(given, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

function parseHeader(text: string): { alg?: unknown } | undefined {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as { alg?: unknown };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
