/** X.509 certificates: the fields, encoded with node-forge's ASN.1 and signed by node:crypto. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';
import { parseAddress } from '../config/cidr.ts';

const { asn1 } = forge;
const { Class, Type } = asn1;
type Asn1 = forge.asn1.Asn1;

export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth';

export interface SubjectNames {
  commonName: string;
  organizations?: string[];
}

export interface CertificateRequest extends SubjectNames {
  /** IP addresses and DNS names, in the order in which they shall stand. */
  altNames?: string[];
  usages?: ExtendedKeyUsage[];
  isCa?: boolean;
  notBefore: Date;
  notAfter: Date;
}

export interface Issuer {
  certificate: X509Certificate;
  key: KeyObject;
}

const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  extensionRequest: '1.2.840.113549.1.9.14',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  rsaSha256: '1.2.840.113549.1.1.11',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
} as const;

const bytes = (buffer: Buffer) => buffer.toString('latin1');
const sequence = (...items: Asn1[]) => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const set = (...items: Asn1[]) => asn1.create(Class.UNIVERSAL, Type.SET, true, items);
const primitive = (type: forge.asn1.Type, value: string) => asn1.create(Class.UNIVERSAL, type, false, value);
const oid = (value: string) => primitive(Type.OID, asn1.oidToDer(value).getBytes());
const octets = (value: Asn1 | string) =>
  primitive(Type.OCTETSTRING, typeof value === 'string' ? value : asn1.toDer(value).getBytes());
const boolean = (value: boolean) => primitive(Type.BOOLEAN, value ? '\xff' : '\x00');
/** `[n]` of a choice or an explicit tag. */
const tagged = (tag: number, constructed: boolean, value: Asn1[] | string) =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);

/** Go writes PrintableString where it can. */
function text(value: string): Asn1 {
  if (/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)) return primitive(Type.PRINTABLESTRING, value);
  return primitive(Type.UTF8, forge.util.encodeUtf8(value));
}

function name(commonName: string, organizations: string[] = []): Asn1 {
  const attributes = organizations.map((o) => sequence(oid(oids.organization), text(o)));
  return sequence(
    ...(attributes.length ? [set(...attributes)] : []),
    set(sequence(oid(oids.commonName), text(commonName))),
  );
}

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). */
function time(date: Date): Asn1 {
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function extension(id: string, value: Asn1, critical = false): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

function generalName(value: string): Asn1 {
  const family = isIP(value);
  if (family === 0) return tagged(2, false, value);
  const width = family === 4 ? 8 : 32;
  return tagged(7, false, bytes(Buffer.from(parseAddress(value)!.toString(16).padStart(width, '0'), 'hex')));
}

/** RFC 7093: the first 160 bits of the SHA-256 of the public key's bits. */
function keyIdentifier(spki: Asn1): string {
  const bits = (spki.value as Asn1[])[1]!.value as string;
  return bytes(
    createHash('sha256')
      .update(Buffer.from(bits.slice(1), 'latin1'))
      .digest()
      .subarray(0, 20),
  );
}

/** Bit strings are kept as bytes: forge would otherwise decode what is inside of them. (Its types know only one option.) */
const fromDer = asn1.fromDer as unknown as (der: string, options: { decodeBitStrings: boolean }) => Asn1;
const decode = (der: Buffer) => fromDer(bytes(der), { decodeBitStrings: false });

function spkiOf(key: KeyObject): Asn1 {
  return decode(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}

function subjectKeyIdentifierOf(certificate: X509Certificate): string {
  const decoded = decode(certificate.raw);
  const tbs = (decoded.value as Asn1[])[0]!.value as Asn1[];
  const extensions = tbs.find(
    (item) => item.tagClass === Class.CONTEXT_SPECIFIC && item.type === (3 as forge.asn1.Type),
  );
  const list = extensions ? ((extensions.value as Asn1[])[0]!.value as Asn1[]) : [];
  for (const item of list) {
    const parts = item.value as Asn1[];
    if (asn1.derToOid(parts[0]!.value as string) !== oids.subjectKeyIdentifier) continue;
    return asn1.fromDer(parts.at(-1)!.value as string).value as string;
  }
  return keyIdentifier(spkiOf(certificate.publicKey));
}

function subjectOf(certificate: X509Certificate): Asn1 {
  const decoded = decode(certificate.raw);
  return ((decoded.value as Asn1[])[0]!.value as Asn1[])[5]!;
}

function extensionsOf(request: CertificateRequest, spki: Asn1, issuer: Issuer | undefined): Asn1 {
  const { isCa = false, usages = [], altNames = [] } = request;
  // digitalSignature (0), keyEncipherment (2), keyCertSign (5); the first byte counts the unused bits.
  const keyUsage = primitive(Type.BITSTRING, isCa ? '\x02\xa4' : '\x05\xa0');
  const list = [extension(oids.keyUsage, keyUsage, true)];
  if (usages.length) list.push(extension(oids.extKeyUsage, sequence(...usages.map((usage) => oid(oids[usage])))));
  list.push(extension(oids.basicConstraints, sequence(...(isCa ? [boolean(true)] : [])), true));
  if (isCa) list.push(extension(oids.subjectKeyIdentifier, octets(keyIdentifier(spki))));
  if (issuer) {
    const identifier = subjectKeyIdentifierOf(issuer.certificate);
    list.push(extension(oids.authorityKeyIdentifier, sequence(tagged(0, false, identifier))));
  }
  if (altNames.length) list.push(extension(oids.subjectAltName, sequence(...altNames.map(generalName))));
  return tagged(3, true, [sequence(...list)]);
}

/** As Go chooses: the hash goes with the size of the curve. */
const hashOf = (key: KeyObject) => (key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256');

const signatureAlgorithm = (key: KeyObject) =>
  key.asymmetricKeyType === 'ec'
    ? sequence(oid(hashOf(key) === 'sha384' ? oids.ecdsaSha384 : oids.ecdsaSha256))
    : sequence(oid(oids.rsaSha256), primitive(Type.NULL, ''));

/** A PKCS #10 request for `key`; names other than the subject's stand in its extension request. */
export function certificateRequestPem(request: SubjectNames & { altNames?: string[] }, key: KeyObject): string {
  const { commonName, organizations, altNames = [] } = request;
  const extensions = altNames.length
    ? [
        sequence(
          oid(oids.extensionRequest),
          set(sequence(extension(oids.subjectAltName, sequence(...altNames.map(generalName))))),
        ),
      ]
    : [];
  const information = sequence(
    primitive(Type.INTEGER, '\x00'),
    name(commonName, organizations),
    spkiOf(key),
    tagged(0, true, extensions),
  );
  const der = asn1.toDer(information).getBytes();
  const signature = sign(hashOf(key), Buffer.from(der, 'latin1'), key);
  const whole = sequence(information, signatureAlgorithm(key), primitive(Type.BITSTRING, `\x00${bytes(signature)}`));
  const lines =
    Buffer.from(asn1.toDer(whole).getBytes(), 'latin1')
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

/**
 * Issues a certificate for `key`.
 * @param issuer absent: self-signed
 */
export function issueCertificate(request: CertificateRequest, key: KeyObject, issuer?: Issuer): X509Certificate {
  const signingKey = issuer?.key ?? key;
  const algorithm = signatureAlgorithm(signingKey);
  const spki = spkiOf(key);
  const subject = name(request.commonName, request.organizations);
  const serial = randomBytes(8);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const tbs = sequence(
    tagged(0, true, [primitive(Type.INTEGER, '\x02')]),
    primitive(Type.INTEGER, bytes(serial)),
    algorithm,
    issuer ? subjectOf(issuer.certificate) : subject,
    sequence(time(request.notBefore), time(request.notAfter)),
    subject,
    spki,
    extensionsOf(request, spki, issuer),
  );
  const der = asn1.toDer(tbs).getBytes();
  const signature = sign(hashOf(signingKey), Buffer.from(der, 'latin1'), signingKey);
  const certificate = sequence(tbs, algorithm, primitive(Type.BITSTRING, `\x00${bytes(signature)}`));
  return new X509Certificate(Buffer.from(asn1.toDer(certificate).getBytes(), 'latin1'));
}

export function certificatePem(certificate: X509Certificate): string {
  return certificate.toString();
}

/** DNS names and addresses of a certificate, as they were requested. */
export function altNamesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map((entry) => entry.replace(/^(?:DNS|IP Address):/, ''))
    .filter((entry) => entry !== '');
}

/** `sha256:<hex>` of the certificate's public key (SubjectPublicKeyInfo): what `--discovery-token-ca-cert-hash` takes. */
export function publicKeyPin(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

/** Splits a PEM bundle into its certificates. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Common name and organizations. */
export function subjectNames(certificate: X509Certificate): SubjectNames {
  const subject = certificate.toLegacyObject().subject as unknown as Record<string, string | string[] | undefined>;
  const values = (key: string) => [subject[key] ?? []].flat();
  return { commonName: values('CN').at(-1) ?? '', organizations: values('O') };
}
