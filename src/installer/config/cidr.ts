/** IP addresses and CIDR blocks, IPv4 and IPv6, as big integers. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

export interface Cidr {
  family: 4 | 6;
  /** The network address as a number. */
  base: bigint;
  prefix: number;
  text: string;
}

export function parseAddress(text: string): bigint | undefined {
  if (isIPv4(text)) return text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n);
  // A zone is known on one host only.
  if (!isIPv6(text) || text.includes('%')) return undefined;
  let groups = text;
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (embedded) {
    const v4 = parseAddress(embedded[2]!)!;
    groups = `${embedded[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = groups.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
}

export const isAddress = (text: string): boolean => parseAddress(text) !== undefined;

export function formatAddress(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt((7 - i) * 16)) & 0xffffn).toString(16));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}

/** undefined when the text is not a CIDR block. Host bits are masked away. */
export function parseCidr(text: string): Cidr | undefined {
  const [address, length, ...rest] = text.split('/');
  const family = isIP(address ?? '');
  const value = parseAddress(address ?? '');
  if (rest.length || value === undefined || !/^\d{1,3}$/.test(length ?? '')) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(length);
  if (prefix > bits) return undefined;
  const shift = BigInt(bits - prefix);
  return { family: family as 4 | 6, base: (value >> shift) << shift, prefix, text };
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  const shift = BigInt((a.family === 4 ? 32 : 128) - Math.min(a.prefix, b.prefix));
  return a.base >> shift === b.base >> shift;
}

export function contains(block: Cidr, address: string): boolean {
  const value = parseAddress(address);
  if (value === undefined || isIP(address) !== block.family) return false;
  const shift = BigInt((block.family === 4 ? 32 : 128) - block.prefix);
  return value >> shift === block.base >> shift;
}

/** The nth address of a block: the API server's service is number 1, DNS number 10. */
export function addressAt(block: Cidr, index: number): string {
  return formatAddress(block.base + BigInt(index), block.family);
}

/** `host:port`, with brackets around IPv6. */
export function joinHostPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Splits `host`, `host:port`, `[v6]:port`; undefined when it is none of them. */
export function splitHostPort(text: string): { host: string; port?: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  if (isIPv6(text)) return { host: text };
  const host = match?.[1] ?? match?.[2];
  if (!match || !host) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return { host, port };
}
