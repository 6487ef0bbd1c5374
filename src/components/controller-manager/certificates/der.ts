/** The distinguished encoding rules (X.690), as far as certificate requests and certificates need them. */
import { isIP } from 'node:net';

export interface Der {
  tag: number;
  /** The content alone. */
  value: Buffer;
  /** With tag and length. */
  raw: Buffer;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The first element of `bytes`; throws when it is cut short. */
export function readDer(bytes: Buffer): Der {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new Error('asn1: syntax error: data truncated');
  let length = first;
  let start = 2;
  if (first & 0x80) {
    const size = first & 0x7f;
    if (size === 0 || size > 4 || bytes.length < 2 + size) throw new Error('asn1: syntax error: bad length');
    length = bytes.readUIntBE(2, size);
    start += size;
  }
  if (bytes.length < start + length) throw new Error('asn1: syntax error: data truncated');
  return { tag, value: bytes.subarray(start, start + length), raw: bytes.subarray(0, start + length) };
}

/** The elements inside of a constructed one. */
export function children({ value }: Pick<Der, 'value'>): Der[] {
  const found: Der[] = [];
  for (let rest = value; rest.length > 0; ) {
    const element = readDer(rest);
    found.push(element);
    rest = rest.subarray(element.raw.length);
  }
  return found;
}

export function readOid({ value }: Pick<Der, 'value'>): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of value) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (arcs.length === 0) {
      const first = Math.min(2, Math.floor(arc / 40));
      arcs.push(first, arc - first * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}

export function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

export const sequence = (...parts: Buffer[]): Buffer => der(tags.sequence, ...parts);
export const octets = (value: Buffer): Buffer => der(tags.octetString, value);
export const bitString = (value: Buffer, unused = 0): Buffer => der(tags.bitString, Buffer.from([unused]), value);
export const trueValue = der(tags.boolean, Buffer.from([0xff]));

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(tags.oid, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050
    ? der(tags.utcTime, Buffer.from(text.slice(2)))
    : der(tags.generalizedTime, Buffer.from(text));
}

/** The body of the first block of one of these labels, or undefined. */
export function readPem(text: string, label: string): Buffer | undefined {
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(text);
  return block ? Buffer.from(block[1] as string, 'base64') : undefined;
}

/** An IP address of a subjectAltName, as text. */
export function formatAddress(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
  return isIP(groups) ? groups : bytes.toString('hex');
}
