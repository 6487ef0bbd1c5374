/** Remembers for a few seconds whom a token belongs to. Keys are digests: the cache holds no token. */
import { createHash } from 'node:crypto';
import type { TokenIdentity } from './authenticator.ts';

const maxEntries = 4_096;

export class TokenCache {
  private readonly entries = new Map<string, { identity: TokenIdentity; until: number }>();
  private readonly ttlMs: number;

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs;
  }

  async get(
    token: string,
    audiences: string[],
    authenticate: () => Promise<TokenIdentity | undefined>,
  ): Promise<TokenIdentity | undefined> {
    const key = createHash('sha256')
      .update(`${audiences.join('\0')}\n${token}`)
      .digest('base64');
    const now = Date.now();
    const known = this.entries.get(key);
    if (known && known.until > now) return known.identity;
    const identity = await authenticate();
    this.entries.delete(key);
    // Map keeps insertion order: the first entry is the oldest.
    if (this.entries.size >= maxEntries)
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        break;
      }
    if (identity) this.entries.set(key, { identity, until: now + this.ttlMs });
    return identity;
  }
}
