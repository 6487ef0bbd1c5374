/** Issues the certificate that a request asks for. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { pem } from '../../../machinery/api/pem.ts';
import { bitString, children, der, octets, oid, readDer, readOid, sequence, tags, time, trueValue } from './der.ts';
import type { ParsedRequest } from './request.ts';
import { encodeUsages } from './usages.ts';

export interface Authority {
  certificate: X509Certificate;
  key: KeyObject;
}

export interface Issuance {
  usages: string[];
  /** How long it shall be valid, in milliseconds. */
  ttlMs: number;
  now: Date;
}

/** Clocks of verifiers may be a little behind. */
const backdateMs = 5 * 60_000;
/** A certificate of less than this is valid for its whole time from now on, backdated or not. */
const shortMs = 8 * 3_600_000;
export const shortestTtlMs = 600_000;

/** What `spec.expirationSeconds` leaves of the signer's duration. */
export function ttlOf(expirationSeconds: number | undefined, longestMs: number): number {
  if (expirationSeconds === undefined || expirationSeconds === null) return longestMs;
  return Math.max(shortestTtlMs, Math.min(expirationSeconds * 1000, longestMs));
}

export function loadAuthority(certificatePem: string, keyPem: string): Authority {
  const key = createPrivateKey(keyPem);
  // While an authority is rotated its file holds two.
  const certificate = (certificatePem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [])
    .map((block) => new X509Certificate(block))
    .find((one) => one.checkPrivateKey(key));
  if (!certificate) throw new Error('the private key of the signer does not fit its certificate');
  return { certificate, key };
}

/** Answers the certificate as PEM. */
export function issue(request: ParsedRequest, authority: Authority, { usages, ttlMs, now }: Issuance): string {
  const caEnd = new Date(authority.certificate.validTo);
  if (now > caEnd) throw new Error(`the signer has expired: NotAfter=${caEnd.toISOString()}`);
  const notBefore = new Date(now.getTime() - backdateMs);
  const wanted = ttlMs < shortMs ? now.getTime() + ttlMs : notBefore.getTime() + ttlMs;
  const notAfter = new Date(Math.min(wanted, caEnd.getTime()));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const algorithm = signatureAlgorithm(authority.key);
  const body = sequence(
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    algorithm.identifier,
    subjectOf(authority.certificate),
    sequence(time(notBefore), time(notAfter)),
    request.subject,
    request.publicKeyInfo,
    der(0xa3, sequence(...extensions(request, authority, usages))),
  );
  const certificate = sequence(body, algorithm.identifier, bitString(sign(algorithm.hash, body, authority.key)));
  return pem('CERTIFICATE', certificate);
}

function signatureAlgorithm(key: KeyObject): { identifier: Buffer; hash: string | null } {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { identifier: sequence(oid('1.2.840.10045.4.3.2')), hash: 'sha256' };
    case 'ed25519':
      return { identifier: sequence(oid('1.3.101.112')), hash: null };
    default:
      return { identifier: sequence(oid('1.2.840.113549.1.1.11'), der(0x05)), hash: 'sha256' };
  }
}

/** In the order in which Go writes them. */
function extensions({ alternativeNames, subject }: ParsedRequest, authority: Authority, usages: string[]): Buffer[] {
  const { keyUsage, extended } = encodeUsages(usages);
  const extension = (id: string, value: Buffer, critical = false) =>
    sequence(oid(id), ...(critical ? [trueValue] : []), octets(value));
  const isEmpty = readDer(subject).value.length === 0;
  return [
    ...(keyUsage ? [extension('2.5.29.15', keyUsage, true)] : []),
    ...(extended ? [extension('2.5.29.37', extended)] : []),
    extension('2.5.29.19', sequence(), true),
    extension('2.5.29.35', sequence(der(0x80, keyIdentifier(authority.certificate)))),
    ...(alternativeNames ? [extension('2.5.29.17', alternativeNames, isEmpty)] : []),
  ];
}

/** Version, serial, algorithm, issuer, validity, subject: the sixth field of a version 3 certificate. */
function subjectOf(certificate: X509Certificate): Buffer {
  const [body] = children(readDer(certificate.raw));
  const subject = body && children(body)[5];
  if (!subject) throw new Error('the certificate of the signer has no subject');
  return subject.raw;
}

/** The subject key identifier of the signer; one without gets the hash of its key's bits (RFC 7093). */
function keyIdentifier(certificate: X509Certificate): Buffer {
  const [body] = children(readDer(certificate.raw));
  const list = body ? children(body).find(({ tag }) => tag === 0xa3) : undefined;
  for (const extension of list ? children(list).flatMap(children) : []) {
    const [id, ...rest] = children(extension);
    const value = rest.at(-1);
    if (id && value && readOid(id) === '2.5.29.14') return readDer(value.value).value;
  }
  const info = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' })).export({
    type: 'spki',
    format: 'der',
  });
  const bits = children(readDer(info))[1];
  return createHash('sha256')
    .update(bits?.value.subarray(1) ?? info)
    .digest()
    .subarray(0, 20);
}
