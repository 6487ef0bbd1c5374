/** The pairs that all control planes share, on the one where the new ones are made: each step changes them there first. */
import type { KeyObject } from 'node:crypto';
import type { ClusterConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { type Host, readText } from '../host/host.ts';
import { authorities } from '../pki/catalog.ts';
import { validity } from '../pki/ensure.ts';
import { makeKey, privateKeyPem, readPrivateKey } from '../pki/keys.ts';
import { certificatePem, type Issuer, issueCertificate, readCertificates, subjectNames } from '../pki/x509.ts';
import { type Pair, pairAfter, type RotatedName, type RotationStep, rotatedFiles, servicePair } from './authorities.ts';
import { rotationFolder } from './record.ts';

type Settings = Pick<
  ClusterConfiguration,
  'certificatesDir' | 'encryptionAlgorithm' | 'caCertificateValidityPeriod' | 'certificateValidityPeriod'
>;

/** New pairs wait here, and nowhere else, until they sign. */
export const nextFolder = `${rotationFolder}/next`;
/** The new authority of the cluster as the old one has signed it. */
export const crossedPath = `${rotationFolder}/crossed.crt`;

async function readPair(host: Host, folder: string, name: RotatedName): Promise<Pair | undefined> {
  const { trusted, key } = rotatedFiles[name];
  const [text, keyText] = [await readText(host, `${folder}/${trusted}`), await readText(host, `${folder}/${key}`)];
  return text === undefined || keyText === undefined ? undefined : { trusted: text, key: keyText };
}

/** As the file is that is there: owner, group, permissions. */
export async function replaceFile({ host, file }: Changes, path: string, content: string, mode = 0o600) {
  const { uid, gid, mode: present = mode } = (await host.stat(path)) ?? {};
  return file(path, content, { mode: present, uid, gid });
}

async function writePair(changes: Changes, folder: string, name: RotatedName, pair: Pair): Promise<boolean> {
  const { trusted, key } = rotatedFiles[name];
  // The key first: of a bundle whoever signs takes the certificate that fits to it.
  const wroteKey = await replaceFile(changes, `${folder}/${key}`, pair.key);
  const mode = trusted.endsWith('.crt') ? 0o644 : 0o600;
  return (await replaceFile(changes, `${folder}/${trusted}`, pair.trusted, mode)) || wroteKey;
}

function newAuthority(name: RotatedName, key: KeyObject, settings: Settings, issuer?: Issuer): string {
  const file = rotatedFiles[name].trusted.replace(/\.crt$/, '');
  const commonName = authorities.find((one) => one.name === file)?.commonName ?? '';
  const period = validity(settings.caCertificateValidityPeriod);
  return certificatePem(issueCertificate({ commonName, isCa: true, altNames: [commonName], ...period }, key, issuer));
}

/** Makes the new pair, unless it is there: also one that somebody has put there. */
async function ensureNext(changes: Changes, name: RotatedName, settings: Settings): Promise<Pair> {
  const found = await readPair(changes.host, nextFolder, name);
  if (found) return found;
  const key = await makeKey(settings.encryptionAlgorithm);
  const pem = privateKeyPem(key);
  const made = name === 'sa' ? servicePair(key, pem) : { trusted: newAuthority(name, key, settings), key: pem };
  await changes.folder(nextFolder, 0o700);
  await writePair(changes, nextFolder, name, made);
  return made;
}

/** What knows the old authority alone can follow a chain to it, as long as the API server shows this with its certificate. */
async function crossSign(changes: Changes, current: Pair, next: Pair, settings: Settings): Promise<void> {
  const key = readPrivateKey(current.key);
  const old = readCertificates(current.trusted).find((certificate) => certificate.checkPrivateKey(key));
  if (!old || (await changes.host.stat(crossedPath))) return;
  const period = validity(settings.caCertificateValidityPeriod);
  const [own] = readCertificates(next.trusted);
  if (!own) return;
  const notAfter = new Date(Math.min(period.notAfter.getTime(), old.validToDate.getTime()));
  const request = { ...subjectNames(own), isCa: true, altNames: [], notBefore: period.notBefore, notAfter };
  const crossed = issueCertificate(request, readPrivateKey(next.key), { certificate: old, key });
  await changes.file(crossedPath, certificatePem(crossed), { mode: 0o600 });
}

/** Brings the shared files of this host to a step; again, it changes nothing. */
export async function changeShared(
  changes: Changes,
  step: RotationStep,
  names: readonly RotatedName[],
  settings: Settings,
): Promise<boolean> {
  const { host } = changes;
  const folder = settings.certificatesDir;
  let changed = false;
  for (const name of names) {
    const current = await readPair(host, folder, name);
    if (!current) {
      const { trusted, key } = rotatedFiles[name];
      throw new KinitError('Validation', `${folder}/${trusted} or ${key} is not on this host`, {
        advice: 'whoever has the key of this authority rotates it; leave it out, and name the others one by one',
      });
    }
    const next = step === 'trust' ? await ensureNext(changes, name, settings) : await readPair(host, nextFolder, name);
    if (name === 'ca' && step === 'trust' && next) await crossSign(changes, current, next, settings);
    if (await writePair(changes, folder, name, pairAfter(step, name, current, next))) changed = true;
    if (step !== 'issue') continue;
    const files = rotatedFiles[name];
    for (const file of [files.key, files.trusted]) await host.remove(`${nextFolder}/${file}`);
  }
  return changed;
}
