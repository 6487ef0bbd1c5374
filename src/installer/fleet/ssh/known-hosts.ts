/** Host keys in OpenSSH's known_hosts format: plain and hashed names, ports, patterns, authorities, revoked keys. */
import { createHash, createHmac } from 'node:crypto';

export interface KnownHost {
  /** `example`, `[example]:2222`, `*.example`, `!name`, or `|1|salt|hash`. */
  patterns: string[];
  type: string;
  /** base64 */
  key: string;
  revoked: boolean;
  /** Certificates that this key has signed are believed. */
  authority: boolean;
}

export function parseKnownHosts(text: string): KnownHost[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [names, type, key] = words;
    if (!names || names.startsWith('#') || !type || !key) return [];
    const authority = marker === '@cert-authority';
    const revoked = marker === '@revoked';
    if (marker && !authority && !revoked) return [];
    return [{ patterns: names.split(','), type, key, revoked, authority }];
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

/** Names under which a host may stand in known_hosts: one with another port also by its address alone. */
export interface HostNames {
  name: string;
  /** Without the port: what certificates are made out to. */
  bare: string;
}

const isFor = (entry: KnownHost, { name, bare }: HostNames) => knows(entry, name) || knows(entry, bare);

export const isRevoked = (key: Buffer, names: HostNames, known: readonly KnownHost[]): boolean =>
  known.some((entry) => entry.revoked && entry.key === key.toString('base64') && isFor(entry, names));

/**
 * @param hostKeys keys or fingerprints of the inventory; when there are any, nothing else counts
 * @param known entries of the files
 */
export function judgeHostKey(
  key: Buffer,
  names: HostNames,
  hostKeys: readonly string[],
  known: readonly KnownHost[],
): Verdict {
  const base64 = key.toString('base64');
  if (isRevoked(key, names, known)) return 'revoked';
  const given = hostKeys.filter((text) => !text.startsWith(authorityMark));
  if (given.length) {
    const isGiven = given.some((text) =>
      text.startsWith('SHA256:') ? text === fingerprint(key) : text.split(/\s+/)[1] === base64,
    );
    return isGiven ? 'known' : 'changed';
  }
  const usable = known.filter(({ revoked, authority }) => !revoked && !authority);
  if (usable.some((entry) => entry.key === base64 && isFor(entry, names))) return 'known';
  return usable.some((entry) => entry.type === keyType(key) && knows(entry, names.name)) ? 'changed' : 'unknown';
}

export const authorityMark = '@cert-authority ';

/** Keys of the authorities whose certificates count for a host, in base64. */
export function authoritiesFor(names: HostNames, hostKeys: readonly string[], known: readonly KnownHost[]): string[] {
  if (hostKeys.length) {
    const given = hostKeys.filter((text) => text.startsWith(authorityMark));
    return given.map((text) => text.slice(authorityMark.length).trim().split(/\s+/)[1] ?? '');
  }
  return known.filter((entry) => entry.authority && isFor(entry, names)).map(({ key }) => key);
}

/** Types of keys known for a host, so that the host is asked for one of them. */
export function knownTypes(names: HostNames, hostKeys: readonly string[], known: readonly KnownHost[]): string[] {
  const given = hostKeys
    .filter((text) => !text.startsWith('SHA256:') && !text.startsWith(authorityMark))
    .map((text) => text.split(/\s+/)[0]!);
  const types = given.length
    ? given
    : known.filter((entry) => !entry.revoked && !entry.authority && isFor(entry, names)).map(({ type }) => type);
  return [...new Set(types)].flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', type] : [type]));
}
