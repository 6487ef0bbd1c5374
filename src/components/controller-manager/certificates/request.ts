/** Certificate requests (PKCS#10, RFC 2986): what they ask for, and whether the requester has the key. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { children, type Der, formatAddress, readDer, readOid, readPem, tags } from './der.ts';

export interface ParsedRequest {
  commonName: string;
  organizations: string[];
  dnsNames: string[];
  ipAddresses: string[];
  emailAddresses: string[];
  uris: string[];
  /** The subject as it was sent. */
  subject: Buffer;
  /** The SubjectPublicKeyInfo as it was sent. */
  publicKeyInfo: Buffer;
  /** The GeneralNames of the subjectAltName extension as they were sent. */
  alternativeNames: Buffer | undefined;
}

const commonNameOid = '2.5.4.3';
const organizationOid = '2.5.4.10';
const extensionRequestOid = '1.2.840.113549.1.9.14';
const subjectAltNameOid = '2.5.29.17';

const hashOf: Record<string, string | null> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
};

/** Throws for what is no PEM-encoded certificate request, or is not signed with its own key. */
export function parseRequest(text: string): ParsedRequest {
  const body = readPem(text, '(?:NEW )?CERTIFICATE REQUEST');
  if (!body) throw new Error('PEM block type must be CERTIFICATE REQUEST');
  const [info, algorithm, signature] = children(readDer(body));
  if (!info || !algorithm || !signature) throw new Error('asn1: structure error: no certificate request');
  const [, subject, publicKeyInfo, attributes] = children(info);
  if (!subject || !publicKeyInfo) throw new Error('asn1: structure error: no certificate request');
  const key = createPublicKey({ key: publicKeyInfo.raw, format: 'der', type: 'spki' });
  checkSignature(info, algorithm, signature, key);
  const names = subjectNames(subject);
  const alternativeNames = attributes ? requestedAlternativeNames(attributes) : undefined;
  return {
    commonName: names.find(({ type }) => type === commonNameOid)?.value ?? '',
    organizations: names.filter(({ type }) => type === organizationOid).map(({ value }) => value),
    ...splitAlternativeNames(alternativeNames),
    subject: subject.raw,
    publicKeyInfo: publicKeyInfo.raw,
    alternativeNames,
  };
}

function checkSignature(info: Der, algorithm: Der, signature: Der, key: KeyObject): void {
  const type = readOid(children(algorithm)[0] as Der);
  const hash = hashOf[type];
  if (hash === undefined) throw new Error('x509: cannot verify signature: algorithm unimplemented');
  if (!verify(hash, info.raw, key, signature.value.subarray(1)))
    throw new Error('x509: the signature of the request does not fit its key');
}

function subjectNames(subject: Der): { type: string; value: string }[] {
  return children(subject).flatMap((set) =>
    children(set).map((attribute) => {
      const [type, value] = children(attribute);
      return { type: type ? readOid(type) : '', value: value?.value.toString('utf8') ?? '' };
    }),
  );
}

function requestedAlternativeNames(attributes: Der): Buffer | undefined {
  for (const attribute of children(attributes)) {
    const [type, values] = children(attribute);
    if (!type || !values || readOid(type) !== extensionRequestOid) continue;
    for (const extension of children(values).flatMap(children)) {
      const parts = children(extension);
      const [id] = parts;
      const value = parts.at(-1);
      if (id && value?.tag === tags.octetString && readOid(id) === subjectAltNameOid) return value.value;
    }
  }
  return undefined;
}

function splitAlternativeNames(names: Buffer | undefined) {
  const found: Record<'dnsNames' | 'ipAddresses' | 'emailAddresses' | 'uris', string[]> = {
    dnsNames: [],
    ipAddresses: [],
    emailAddresses: [],
    uris: [],
  };
  for (const { tag, value } of names ? children(readDer(names)) : []) {
    if (tag === 0x81) found.emailAddresses.push(value.toString());
    else if (tag === 0x82) found.dnsNames.push(value.toString());
    else if (tag === 0x86) found.uris.push(value.toString());
    else if (tag === 0x87) found.ipAddresses.push(formatAddress(value));
  }
  return found;
}
