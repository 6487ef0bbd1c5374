/** Key usages by the names that certificate signing requests use. */
import { bitString, oid, sequence } from './der.ts';

/** Bit numbers of the KeyUsage extension (RFC 5280, 4.2.1.3). */
const keyUsageBits: Record<string, number> = {
  signing: 0,
  'digital signature': 0,
  'content commitment': 1,
  'key encipherment': 2,
  'data encipherment': 3,
  'key agreement': 4,
  'cert sign': 5,
  'crl sign': 6,
  'encipher only': 7,
  'decipher only': 8,
};

const extendedUsages: Record<string, string> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
};

export interface EncodedUsages {
  /** Absent when no basic usage was asked for. */
  keyUsage: Buffer | undefined;
  extended: Buffer | undefined;
}

/** Throws for usages that nobody knows, all of them named. */
export function encodeUsages(usages: string[]): EncodedUsages {
  const unknown = usages.filter((usage) => keyUsageBits[usage] === undefined && extendedUsages[usage] === undefined);
  if (unknown.length > 0) throw new Error(`unrecognized usage values: ${JSON.stringify(unknown)}`);
  const bits = [...new Set(usages.flatMap((usage) => keyUsageBits[usage] ?? []))];
  const oids = [...new Set(usages.flatMap((usage) => extendedUsages[usage] ?? []))].sort();
  return {
    keyUsage: bits.length > 0 ? namedBits(bits) : undefined,
    extended: oids.length > 0 ? sequence(...oids.map(oid)) : undefined,
  };
}

/** A bit string without trailing zeros, as DER wants named bits. */
function namedBits(bits: number[]): Buffer {
  const highest = Math.max(...bits);
  const bytes = Buffer.alloc(highest < 8 ? 1 : 2);
  for (const bit of bits) {
    const at = bit >> 3;
    bytes[at] = (bytes[at] as number) | (0x80 >> (bit & 7));
  }
  return bitString(bytes, 7 - (highest & 7));
}
