/** Ranges of IP addresses, of either family, addressed by offset. */
import { isIP } from 'node:net';

export interface AddressRange {
  /** The first address, without host bits. */
  network: string;
  prefix: number;
  ipv6: boolean;
  /** Number of addresses, at most 2^20 (upstream uses no more of an IPv6 range at a time either). */
  size: number;
}

const sizeLimit = 2 ** 20;

/** Throws for what is no CIDR. */
export function parseRange(cidr: string): AddressRange {
  const [address = '', length = ''] = cidr.split('/');
  const family = isIP(address);
  const bits = family === 6 ? 128 : 32;
  const prefix = Number(length);
  if (!family || !/^\d+$/.test(length) || prefix > bits) throw new Error(`"${cidr}" is not an address range (CIDR)`);
  const ipv6 = family === 6;
  const hostBits = BigInt(bits - prefix);
  const network = (toNumber(address, ipv6) >> hostBits) << hostBits;
  return {
    network: toText(network, ipv6),
    prefix,
    ipv6,
    size: Number(hostBits > 20n ? BigInt(sizeLimit) : 1n << hostBits),
  };
}

export function addressAt(range: AddressRange, offset: number): string {
  return toText(toNumber(range.network, range.ipv6) + BigInt(offset), range.ipv6);
}

function toNumber(address: string, ipv6: boolean): bigint {
  if (!ipv6) return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return groups.reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n);
}

function toText(value: bigint, ipv6: boolean): string {
  if (!ipv6) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // URL parsing compresses an IPv6 address in the canonical way.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
