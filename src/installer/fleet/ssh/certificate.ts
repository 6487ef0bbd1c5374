/** OpenSSH's certificates (PROTOCOL.certkeys): a key, whom it stands for, how long, and an authority's signature below. */
import ssh2 from 'ssh2';
import { fingerprint, keyType, matchesPattern } from './known-hosts.ts';
import { string, WireReader } from './wire.ts';

const suffix = '-cert-v01@openssh.com';

export interface Certificate {
  /** `ssh-ed25519-cert-v01@openssh.com`. */
  type: string;
  kind: 'user' | 'host';
  keyId: string;
  serial: bigint;
  /** Users or hosts; empty: all of them. */
  principals: string[];
  /** Seconds since 1970. */
  validAfter: bigint;
  validBefore: bigint;
  criticalOptions: string[];
  /** The certified key as one without a certificate, and the authority's. */
  plainKey: Buffer;
  authority: Buffer;
  signed: Buffer;
  signature: Buffer;
}

export const isCertificateType = (type: string): boolean => type.endsWith(suffix);
export const plainType = (type: string): string => (isCertificateType(type) ? type.slice(0, -suffix.length) : type);

/** Fields of a public key, that a certificate has behind its nonce. */
const publicFields: Record<string, number> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519': 2,
  'sk-ecdsa-sha2-nistp256': 3,
};

/** @throws Error when these bytes are no certificate */
export function parseCertificate(blob: Buffer): Certificate {
  const reader = new WireReader(blob);
  const type = reader.text();
  const base = plainType(type);
  const fields = publicFields[base];
  if (!isCertificateType(type) || fields === undefined) throw new Error(`${type} is no certificate of a known type`);
  reader.bytes();
  // A key of a security device is named with the vendor's suffix.
  const parts = [string(base.startsWith('sk-') ? `${base}@openssh.com` : base)];
  for (let count = 0; count < fields; count++) parts.push(string(reader.bytes()));
  const serial = reader.uint64();
  const kind = reader.uint32();
  if (kind !== 1 && kind !== 2) throw new Error(`a certificate is of kind ${kind}, neither user (1) nor host (2)`);
  const keyId = reader.text();
  const principals = reader.texts();
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = reader.texts().filter((_, index) => index % 2 === 0);
  reader.bytes();
  reader.bytes();
  const authority = reader.bytes();
  const signed = blob.subarray(0, reader.offset);
  return {
    type,
    kind: kind === 1 ? 'user' : 'host',
    keyId,
    serial,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    plainKey: Buffer.concat(parts),
    authority,
    signed,
    signature: reader.bytes(),
  };
}

/** `ssh-ed25519-cert-v01@openssh.com AAAA… comment`. */
export function parseCertificateFile(text: string): { blob: Buffer; certificate: Certificate } {
  const [, base64 = ''] = text.trim().split(/\s+/);
  const blob = Buffer.from(base64, 'base64');
  return { blob, certificate: parseCertificate(blob) };
}

/** Whether the authority that the certificate names has signed it. */
function isSigned({ authority, signed, signature }: Certificate): boolean {
  const key = ssh2.utils.parseKey(authority);
  if (key instanceof Error) return false;
  const reader = new WireReader(signature);
  const algorithm = reader.text();
  const value = reader.bytes();
  // SHA-1 is no proof of anything any more.
  const hashes: Record<string, string> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' };
  if (key.type === 'ssh-rsa') {
    const hash = hashes[algorithm];
    return hash !== undefined && key.verify(signed, value, hash) === true;
  }
  if (algorithm !== key.type) return false;
  return key.verify(signed, key.type.startsWith('ecdsa-') ? ecdsaDer(value) : value) === true;
}

/** ECDSA's two numbers as OpenSSL reads them. */
function ecdsaDer(signature: Buffer): Buffer {
  const reader = new WireReader(signature);
  const length = (size: number) => (size < 0x80 ? Buffer.of(size) : Buffer.of(0x81, size));
  const element = (tag: number, content: Buffer) => Buffer.concat([Buffer.of(tag), length(content.length), content]);
  return element(0x30, Buffer.concat([element(2, reader.bytes()), element(2, reader.bytes())]));
}

const forever = 2n ** 64n - 1n;
const dateOf = (seconds: bigint): string =>
  seconds >= 253_402_300_800n ? 'forever' : new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z');

/** `2026-01-01T00:00:00Z to forever`. */
export const validityText = ({ validAfter, validBefore }: Certificate): string =>
  `${validAfter === 0n ? 'always' : dateOf(validAfter)} to ${validBefore === forever ? 'forever' : dateOf(validBefore)}`;

/** Why a certificate does not count at this time, if so. */
export function validityProblem(certificate: Certificate, nowMs: number): string | undefined {
  const now = BigInt(Math.floor(nowMs / 1000));
  if (now < certificate.validAfter) return `it is valid only from ${dateOf(certificate.validAfter)} on`;
  if (now >= certificate.validBefore) return `it was valid until ${dateOf(certificate.validBefore)}`;
  return undefined;
}

/**
 * What is wrong with a host's certificate whose authority is known; undefined when it may be trusted.
 * @param name the host as it was asked for: its address or alias, without the port
 */
export function hostCertificateProblem(certificate: Certificate, name: string, nowMs: number): string | undefined {
  const { kind, principals, criticalOptions } = certificate;
  if (kind !== 'host') return 'it is the certificate of a user';
  if (!isSigned(certificate)) return 'its signature is not that of the authority that it names';
  const outOfTime = validityProblem(certificate, nowMs);
  if (outOfTime) return outOfTime;
  if (criticalOptions.length) return `it has conditions that are not understood: ${criticalOptions.join(', ')}`;
  if (principals.length && !principals.some((principal) => matchesPattern(principal, name)))
    return `it is for ${principals.join(', ')}`;
  return undefined;
}

/** For messages: `key "cp1" (ssh-ed25519), signed by ssh-ed25519 SHA256:…, valid …`. */
export const describeCertificate = (certificate: Certificate): string =>
  `certificate "${certificate.keyId}" for ${certificate.principals.join(', ') || 'any name'}, signed by ${keyType(certificate.authority)} ${fingerprint(certificate.authority)}, valid ${validityText(certificate)}`;
