/** Makes certificates and keys that are missing, and checks those that are there; valid ones are kept as they are. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { parseAddress } from '../config/cidr.ts';
import { parseDuration } from '../config/duration.ts';
import type { ClusterConfiguration, InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { entryKey, type JournalEntry } from '../host/journal.ts';
import { type Authority, type LeafCertificate, orderAltNames } from './catalog.ts';
import { makeKey, privateKeyPem, publicKeyPem, readPrivateKey } from './keys.ts';
import {
  altNamesOf,
  type CertificateRequest,
  certificatePem,
  type Issuer,
  issueCertificate,
  readCertificates,
} from './x509.ts';

/** Certificates are valid from a little before now, for hosts whose clocks differ a little (kubeadm does the same). */
export const backdateMs = 5 * 60_000;

export function validity(period: string, now = new Date()): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - backdateMs),
    notAfter: new Date(now.getTime() + (parseDuration(period) ?? 0)),
  };
}

export const certificateFile = (dir: string, name: string) => `${dir}/${name}.crt`;
export const keyFile = (dir: string, name: string) => `${dir}/${name}.key`;

/** Certificates are public; a key that a group has been let to read (sa.key) stays so. */
export async function modeFor(host: Host, path: string): Promise<number> {
  if (path.endsWith('.crt')) return 0o644;
  const facts = await host.stat(path);
  return facts?.mode === 0o640 && facts.gid !== 0 ? 0o640 : 0o600;
}

interface Pair {
  certificate?: X509Certificate;
  key?: KeyObject;
}

async function readPair(host: Host, dir: string, name: string): Promise<Pair> {
  const read = async <T>(path: string, parse: (content: Buffer) => T): Promise<T | undefined> => {
    const content = await host.readFile(path);
    if (content === undefined) return undefined;
    try {
      return parse(content);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw unusable(dir, name, `${path} cannot be read: ${reason}`);
    }
  };
  const key = await read(keyFile(dir, name), readPrivateKey);
  return { certificate: await read(certificateFile(dir, name), (content) => certificateOf(content, key)), key };
}

/** While an authority is rotated its file holds two: the one that signs fits to the key, and comes first. */
function certificateOf(content: Buffer, key: KeyObject | undefined): X509Certificate {
  const bundle = readCertificates(content.toString());
  const signer = key && bundle.find((certificate) => certificate.checkPrivateKey(key));
  return signer ?? bundle[0] ?? new X509Certificate(content);
}

function unusable(dir: string, name: string, reason: string): KinitError {
  return new KinitError(
    'Validation',
    `the existing certificate ${certificateFile(dir, name)} cannot be used: ${reason}`,
    {
      advice: 'correct it, or move it and its key away so that kinit makes a new pair',
    },
  );
}

function assertCurrent(certificate: X509Certificate, dir: string, name: string): void {
  const now = new Date();
  if (certificate.validToDate < now) throw unusable(dir, name, `it expired on ${certificate.validTo}`);
  if (certificate.validFromDate > now) throw unusable(dir, name, `it is not valid before ${certificate.validFrom}`);
}

/**
 * The authority's certificate and key; made when both are missing. A key alone is somebody's mistake, or what a run of kinit left
 * that was killed in between: the journal tells, and that one gets its certificate.
 */
export async function ensureAuthority(
  changes: Changes,
  cluster: ClusterConfiguration,
  { name, commonName }: Authority,
): Promise<boolean> {
  const dir = cluster.certificatesDir;
  const { certificate, key } = await readPair(changes.host, dir, name);
  if (certificate) {
    assertCurrent(certificate, dir, name);
    if (!certificate.ca) throw unusable(dir, name, 'it is not a CA certificate');
    if (key && !certificate.checkPrivateKey(key)) throw unusable(dir, name, `${keyFile(dir, name)} is not its key`);
    return false;
  }
  const begun: JournalEntry = { kind: 'note', what: `key ${keyFile(dir, name)}` };
  if (key && !changes.journal.has(entryKey(begun))) {
    throw unusable(dir, name, `${keyFile(dir, name)} is there without it`);
  }
  await changes.journal.record(begun);
  const made = key ?? (await makeKey(cluster.encryptionAlgorithm));
  const request = { commonName, isCa: true, altNames: [commonName], ...validity(cluster.caCertificateValidityPeriod) };
  await writePair(changes, dir, name, made, issueCertificate(request, made));
  return true;
}

/** The authority's certificate alone: its key may be elsewhere. */
export async function loadAuthorityCertificate(host: Host, dir: string, name: string): Promise<X509Certificate> {
  const { certificate } = await readPair(host, dir, name);
  if (certificate) return certificate;
  throw new KinitError('Validation', `${certificateFile(dir, name)} is missing`, {
    advice: 'run the phase certs/ca first, or put the certificate in place',
  });
}

export async function loadAuthority(host: Host, dir: string, name: string): Promise<Issuer> {
  const { certificate, key } = await readPair(host, dir, name);
  if (certificate && key) return { certificate, key };
  throw new KinitError('Validation', `${(certificate ? keyFile : certificateFile)(dir, name)} is missing`, {
    advice:
      'a certificate has to be signed by it: run the phase certs/ca first, or put the missing certificates in place',
  });
}

/** The names that a pair lacks, and those that it has beyond. @throws KinitError Validation when it is not what it would have to be */
async function readLeaf(
  host: Host,
  config: InitConfiguration,
  leaf: LeafCertificate,
): Promise<{ missing: string[]; extra: string[] } | undefined> {
  const dir = config.cluster.certificatesDir;
  const { certificate, key } = await readPair(host, dir, leaf.name);
  if (!certificate || !key) return undefined;
  assertCurrent(certificate, dir, leaf.name);
  if (!certificate.checkPrivateKey(key)) throw unusable(dir, leaf.name, `${keyFile(dir, leaf.name)} is not its key`);
  const trusted = readCertificates((await readText(host, certificateFile(dir, leaf.authority))) ?? '');
  if (trusted.length && !trusted.some((authority) => certificate.verify(authority.publicKey))) {
    throw unusable(dir, leaf.name, `it is not signed by ${certificateFile(dir, leaf.authority)}`);
  }
  const names = altNamesOf(certificate);
  const wanted = leaf.altNames?.(config) ?? [];
  const without = (list: string[], others: string[]) => {
    const known = new Set(others.map(canonical));
    return list.filter((name) => !known.has(canonical(name)));
  };
  return { missing: without(wanted, names), extra: without(names, wanted) };
}

/**
 * @returns whether the pair is there
 * @throws KinitError Validation when it is not what it would have to be
 */
export async function checkLeaf(host: Host, config: InitConfiguration, leaf: LeafCertificate): Promise<boolean> {
  const found = await readLeaf(host, config, leaf);
  if (found?.missing.length) {
    throw unusable(config.cluster.certificatesDir, leaf.name, `it is not valid for ${found.missing.join(', ')}`);
  }
  return found !== undefined;
}

/**
 * A leaf certificate and its key; an existing pair is checked against what it would have to be. One that lacks names is made
 * again for these, too, with its key and the names that it has. Those who serve with it see that, without a restart.
 * @param prune names that are not wanted go
 */
export async function ensureLeaf(
  changes: Changes,
  config: InitConfiguration,
  leaf: LeafCertificate,
  prune = false,
): Promise<boolean> {
  const { cluster } = config;
  const dir = cluster.certificatesDir;
  const { host } = changes;
  const found = await readLeaf(host, config, leaf);
  if (found && !found.missing.length && !(prune && found.extra.length)) return false;
  // Without the authority's key nothing can be signed: what is wrong has to be told.
  if (found && !(await exists(host, keyFile(dir, leaf.authority)))) return checkLeaf(host, config, leaf);
  const { key } = await readPair(host, dir, leaf.name);
  const issuer = await loadAuthority(host, dir, leaf.authority);
  const made = key ?? (await makeKey(cluster.encryptionAlgorithm));
  const kept = prune ? [] : (found?.extra ?? []);
  const request: CertificateRequest = {
    commonName: leaf.commonName(config),
    organizations: leaf.organizations,
    altNames: orderAltNames([...(leaf.altNames?.(config) ?? []), ...kept]),
    usages: leaf.usages,
    ...validity(cluster.certificateValidityPeriod),
  };
  await writePair(changes, dir, leaf.name, made, issueCertificate(request, made, issuer));
  return true;
}

/** node:crypto prints IPv6 addresses in full and in capitals. */
const canonical = (name: string) => parseAddress(name)?.toString() ?? name;

async function writePair(changes: Changes, dir: string, name: string, key: KeyObject, certificate: X509Certificate) {
  await changes.file(keyFile(dir, name), privateKeyPem(key), { mode: 0o600 });
  await changes.file(certificateFile(dir, name), certificatePem(certificate), { mode: 0o644 });
}

/** The pair that signs service account tokens; sa.pub is made again from sa.key when it is missing. */
export async function ensureServiceAccountKey(changes: Changes, cluster: ClusterConfiguration): Promise<boolean> {
  const dir = cluster.certificatesDir;
  const existing = await readText(changes.host, `${dir}/sa.key`);
  const key = existing ? readServiceAccountKey(existing, `${dir}/sa.key`) : await makeKey(cluster.encryptionAlgorithm);
  const wroteKey = existing ? false : await changes.file(`${dir}/sa.key`, privateKeyPem(key), { mode: 0o600 });
  const hasPublic = (await changes.host.stat(`${dir}/sa.pub`)) !== undefined;
  return (hasPublic ? false : await changes.file(`${dir}/sa.pub`, publicKeyPem(key), { mode: 0o600 })) || wroteKey;
}

function readServiceAccountKey(pem: string, path: string): KeyObject {
  try {
    return readPrivateKey(pem);
  } catch (cause) {
    throw new KinitError('Validation', `the existing key ${path} cannot be used: ${(cause as Error).message}`, {
      advice: 'correct it, or move it away so that kinit makes a new one',
    });
  }
}
