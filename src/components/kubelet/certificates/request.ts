/** A certificate signing request (PKCS #10) for an ECDSA key, in the few DER pieces that it is made of. */

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { pem } from '../../../machinery/api/pem.ts';

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
const set = (...parts: Buffer[]) => der(0x31, ...parts);
const bits = (value: Buffer) => der(0x03, Buffer.from([0]), value);

const organizationOid = Buffer.from('060355040a', 'hex');
const commonNameOid = Buffer.from('0603550403', 'hex');
const ecdsaWithSha256 = sequence(Buffer.from('06082a8648ce3d040302', 'hex'));
const extensionRequestOid = Buffer.from('06092a864886f70d01090e', 'hex');
const subjectAltNameOid = Buffer.from('0603551d11', 'hex');

export interface SigningRequest {
  /** PEM. */
  csr: string;
  key: string;
}

export interface SigningRequestOptions {
  commonName: string;
  organization?: string;
  /** DNS names and IPv4 addresses, for serving certificates. */
  hosts?: string[];
  /** PEM of a key to use again; without it a new one is made. */
  key?: KeyObject;
}

export function signingRequest({ commonName, organization, hosts = [], key }: SigningRequestOptions): SigningRequest {
  const privateKey = key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const attribute = (oid: Buffer, value: string, tag: number) => set(sequence(oid, der(tag, Buffer.from(value))));
  const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
  const tagFor = (value: string) => (printable.test(value) ? 0x13 : 0x0c);
  const subject = sequence(
    ...(organization ? [attribute(organizationOid, organization, tagFor(organization))] : []),
    attribute(commonNameOid, commonName, tagFor(commonName)),
  );
  const names = hosts.map((host) =>
    isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  );
  const extensions = names.length
    ? [sequence(extensionRequestOid, set(sequence(sequence(subjectAltNameOid, der(0x04, sequence(...names))))))]
    : [];
  const info = sequence(
    der(0x02, Buffer.from([0])),
    subject,
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    der(0xa0, ...extensions),
  );
  const signature = sign('sha256', info, privateKey);
  return {
    csr: pem('CERTIFICATE REQUEST', sequence(info, ecdsaWithSha256, bits(signature))),
    key: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
  };
}
