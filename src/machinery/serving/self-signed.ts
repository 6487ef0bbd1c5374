/** A self-signed serving certificate (ECDSA P-256) in a few milliseconds, for components that were given none. */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { pem } from '../api/pem.ts';

export interface ServingCertificate {
  /** PEM. */
  cert: string;
  key: string;
}

// The few DER encodings a certificate is made of (X.690).
const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
const set = (...parts: Buffer[]) => der(0x31, ...parts);
const text = (value: string) => der(0x0c, Buffer.from(value));
const octets = (value: Buffer) => der(0x04, value);
const bits = (value: Buffer, unused = 0) => der(0x03, Buffer.from([unused]), value);
const utcTime = (date: Date) => der(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
};

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

const addressBytes = (host: string): Buffer => {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number));
  const [head = '', tail] = host.split('::');
  const groups = (part: string) => (part ? part.split(':') : []);
  const left = groups(head);
  const right = groups(tail ?? '');
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.concat([...left, ...middle, ...right].map((group) => Buffer.from(group.padStart(4, '0'), 'hex')));
};

/**
 * @param commonName of the subject
 * @param hosts DNS names and IP addresses it is valid for
 * @param days of validity from an hour ago on
 */
export function selfSignedCertificate(commonName: string, hosts: string[], days = 365): ServingCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const name = sequence(set(sequence(oid('2.5.4.3'), text(commonName))));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const alternativeNames = hosts.map((host) =>
    isIP(host) ? der(0x87, addressBytes(host)) : der(0x82, Buffer.from(host)),
  );
  const critical = der(0x01, Buffer.from([0xff]));
  const extensions = sequence(
    sequence(oid('2.5.29.15'), critical, octets(bits(Buffer.from([0xa4]), 2))),
    sequence(oid('2.5.29.37'), octets(sequence(oid('1.3.6.1.5.5.7.3.1')))),
    sequence(oid('2.5.29.19'), critical, octets(sequence(der(0x01, Buffer.from([0xff]))))),
    sequence(oid('2.5.29.17'), octets(sequence(...alternativeNames))),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    name,
    sequence(utcTime(new Date(now - 3_600_000)), utcTime(new Date(now + days * 86_400_000))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = sign('sha256', body, privateKey);
  return {
    cert: pem('CERTIFICATE', sequence(body, ecdsaWithSha256, bits(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
