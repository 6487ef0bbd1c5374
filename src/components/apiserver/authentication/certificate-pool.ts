/** Certificate authorities of a PEM bundle, and whether a client certificate descends from one of them. */
import { X509Certificate } from 'node:crypto';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyUsage = '2.5.29.37.0';
const maxChainLength = 6;

export function parseBundle(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('utf8').match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('data does not contain any valid RSA or ECDSA certificates');
  return blocks.map((block) => new X509Certificate(block));
}

/** Undefined for a certificate that is good for client authentication now, else what is wrong with it. */
export function verifyClientCertificate(
  leaf: X509Certificate,
  roots: X509Certificate[],
  now: Date,
): string | undefined {
  const usages = leaf.keyUsage as string[] | undefined;
  if (usages && !usages.includes(clientAuth) && !usages.includes(anyUsage))
    return 'x509: certificate specifies an incompatible key usage';
  const seen: X509Certificate[] = [];
  for (let current: X509Certificate | undefined = leaf; current && seen.length < maxChainLength; ) {
    if (now < current.validFromDate || now > current.validToDate)
      return `x509: certificate has expired or is not yet valid: current time ${now.toISOString()} is ${
        now < current.validFromDate ? 'before' : 'after'
      } ${(now < current.validFromDate ? current.validFromDate : current.validToDate).toISOString()}`;
    if (current !== leaf && !current.ca) return 'x509: invalid certificate chain';
    const certificate: X509Certificate = current;
    if (roots.some((root) => signedBy(certificate, root, now))) return undefined;
    seen.push(certificate);
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    current =
      issuer &&
      !seen.some(({ fingerprint256 }) => fingerprint256 === issuer.fingerprint256) &&
      signedBy(certificate, issuer, now)
        ? issuer
        : undefined;
  }
  return 'x509: certificate signed by unknown authority';
}

function signedBy(certificate: X509Certificate, issuer: X509Certificate, now: Date): boolean {
  return (
    issuer.ca &&
    now >= issuer.validFromDate &&
    now <= issuer.validToDate &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  );
}
