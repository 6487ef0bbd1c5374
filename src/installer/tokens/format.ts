/** Bootstrap tokens: `<id>.<secret>`, six and sixteen characters of [a-z0-9]. */
import { randomInt } from 'node:crypto';

export const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

export interface Token {
  id: string;
  secret: string;
}

export function isTokenId(text: string): boolean {
  return /^[a-z0-9]{6}$/.test(text);
}

/** undefined when the text is not a token. */
export function parseToken(text: string): Token | undefined {
  const match = tokenPattern.exec(text);
  return match ? { id: match[1]!, secret: match[2]! } : undefined;
}

export function generateToken(): string {
  const random = (length: number) => Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
  return `${random(6)}.${random(16)}`;
}
