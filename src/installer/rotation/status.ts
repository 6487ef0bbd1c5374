/** What of a rotation is to be seen on a host: whom it believes, who signs, and what is still signed by somebody else. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { kubeletPaths } from '../config/paths.ts';
import { type Host, readText } from '../host/host.ts';
import { readRenewable, renewables } from '../pki/renewable.ts';
import { keyId, keyIdOfPrivate, type RotatedName, readTrusted, rotatedFiles, rotatedNames } from './authorities.ts';
import { type RotationRecord, readRecord } from './record.ts';

export interface AuthorityStatus {
  name: RotatedName;
  /** Beginnings of the SHA-256 of public keys; the first one signs. */
  trusted: string[];
  /** Absent: the key is not on this host. */
  signs?: string;
  /** Certificates of this host that somebody else has signed. */
  others: string[];
}

export interface RotationStatus {
  /** Of the rotation that is under way, if it has begun on this host. */
  rotation?: RotationRecord;
  authorities: AuthorityStatus[];
}

const short = (id: string) => id.slice(0, 12);

export async function rotationStatus(host: Host, certificatesDir: string): Promise<RotationStatus> {
  const rotation = await readRecord(host);
  const found: AuthorityStatus[] = [];
  for (const name of rotatedNames) {
    const files = rotatedFiles[name];
    const text = await readText(host, `${certificatesDir}/${files.trusted}`);
    if (text === undefined) continue;
    const trusted = readTrusted(text);
    const key = await readText(host, `${certificatesDir}/${files.key}`);
    found.push({
      name,
      trusted: trusted.map((one) => short(keyId(one.key))),
      ...(key ? { signs: short(keyIdOfPrivate(key)) } : {}),
      others: trusted[0] ? await notOf(host, certificatesDir, name, trusted[0].key) : [],
    });
  }
  return { ...(rotation ? { rotation } : {}), authorities: found };
}

async function notOf(host: Host, certificatesDir: string, name: RotatedName, signer: KeyObject): Promise<string[]> {
  const names: string[] = [];
  const authority = rotatedFiles[name].trusted.replace(/\.crt$/, '');
  for (const renewable of renewables.filter((one) => one.authority === authority)) {
    const found = await readRenewable({ host, certificatesDir }, renewable);
    if (found && !found.certificate.verify(signer)) names.push(renewable.name);
  }
  const kubelet = name === 'ca' ? await readText(host, kubeletPaths.clientCertificate) : undefined;
  if (kubelet && !new X509Certificate(kubelet).verify(signer)) names.push('kubelet');
  return names;
}
