/** Host keys in OpenSSH's known_hosts format: plain and hashed names, ports, patterns, revoked keys. */
import { createHash, createHmac } from 'node:crypto';

export interface KnownHost {
  /** `example`, `[example]:2222`, `*.example`, `!name`, or `|1|salt|hash`. */
  patterns: string[];
  type: string;
  /** base64 */
  key: string;
  revoked: boolean;
}

export function parseKnownHosts(text: string): KnownHost[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [names, type, key] = words;
    if (!names || names.startsWith('#') || !type || !key) return [];
    // Certificates of hosts are not checked here; their authority's key is no host's key.
    if (marker === '@cert-authority') return [];
    return [{ patterns: names.split(','), type, key, revoked: marker === '@revoked' }];
  });
}

/** How known_hosts names a host: with its port unless that is 22. */
export const knownHostName = (address: string, port: number): string =>
  port === 22 ? address : `[${address}]:${port}`;

export function matchesPattern(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([^|]+)\|([^|]+)$/.exec(pattern);
  if (hashed) {
    const [, salt = '', hash] = hashed;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`, 'i').test(name);
}

export function knows({ patterns }: KnownHost, name: string): boolean {
  const denied = patterns.some((pattern) => pattern.startsWith('!') && matchesPattern(pattern.slice(1), name));
  return !denied && patterns.some((pattern) => !pattern.startsWith('!') && matchesPattern(pattern, name));
}

/** The key's type, as its own bytes say. */
export function keyType(key: Buffer): string {
  const length = key.readUInt32BE(0);
  return key.subarray(4, 4 + length).toString('latin1');
}

export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

export type Verdict = 'known' | 'unknown' | 'changed' | 'revoked';

/**
 * @param hostKeys keys or fingerprints of the inventory; when there are any, nothing else counts
 * @param known entries of the files
 */
export function judgeHostKey(key: Buffer, name: string, hostKeys: readonly string[], known: KnownHost[]): Verdict {
  const base64 = key.toString('base64');
  const entries = known.filter((entry) => knows(entry, name));
  if (entries.some((entry) => entry.revoked && entry.key === base64)) return 'revoked';
  if (hostKeys.length) {
    const given = hostKeys.some((text) =>
      text.startsWith('SHA256:') ? text === fingerprint(key) : text.split(/\s+/)[1] === base64,
    );
    return given ? 'known' : 'changed';
  }
  const usable = entries.filter(({ revoked }) => !revoked);
  if (usable.some((entry) => entry.key === base64)) return 'known';
  return usable.some(({ type }) => type === keyType(key)) ? 'changed' : 'unknown';
}

/** Types of keys known for a host, so that the host is asked for one of them. */
export function knownTypes(name: string, hostKeys: readonly string[], known: KnownHost[]): string[] {
  const given = hostKeys.filter((text) => !text.startsWith('SHA256:')).map((text) => text.split(/\s+/)[0]!);
  const types = given.length
    ? given
    : known.filter((entry) => !entry.revoked && knows(entry, name)).map(({ type }) => type);
  return [...new Set(types)].flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', type] : [type]));
}
