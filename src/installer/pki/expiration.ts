/** When the certificates of a control plane expire. */
import { X509Certificate } from 'node:crypto';
import { readText } from '../host/host.ts';
import { type AuthorityName, authorities } from './catalog.ts';
import { certificateFile } from './ensure.ts';
import { isExternal } from './external.ts';
import { type CertificateHome, commandName, readRenewable, renewables } from './renewable.ts';

export interface Expiration {
  name: string;
  /** Absent: the certificate is missing. */
  expires?: Date;
  /** Whole seconds; negative when it has expired. */
  residualSeconds: number;
  /** Its authority's key is not on this host. */
  external: boolean;
  /** The authority's name; authorities have none. */
  authority?: string;
}

export interface Expirations {
  certificates: Expiration[];
  authorities: Expiration[];
}

/** Every certificate and authority that kinit makes, in order of their names; missing ones too. */
export async function checkExpiration(home: CertificateHome, now = new Date()): Promise<Expirations> {
  const { host, certificatesDir } = home;
  const left = (certificate: X509Certificate | undefined) => {
    const expires = certificate?.validToDate;
    const residualSeconds = expires ? Math.trunc((expires.getTime() - now.getTime()) / 1000) : 0;
    return { ...(expires ? { expires } : {}), residualSeconds };
  };
  const certificates: Expiration[] = [];
  const used = (name: AuthorityName) => name !== 'etcd/ca' || !home.externalEtcd;
  for (const renewable of renewables.filter(({ authority }) => used(authority))) {
    const { name, authority } = renewable;
    const found = await readRenewable(home, renewable);
    const external = await isExternal(host, certificatesDir, authority);
    certificates.push({ name, ...left(found?.certificate), external, authority: commandName(authority) });
  }
  const signers: Expiration[] = [];
  for (const { name } of authorities
    .filter(({ name }) => used(name))
    .sort((a, b) => (commandName(a.name) < commandName(b.name) ? -1 : 1))) {
    const pem = await readText(host, certificateFile(certificatesDir, name));
    const found = pem === undefined ? undefined : new X509Certificate(pem);
    signers.push({ name: commandName(name), ...left(found), external: await isExternal(host, certificatesDir, name) });
  }
  return { certificates, authorities: signers };
}

/** As kubeadm prints what is left: one number in the largest unit that fits. */
export function shortDuration(seconds: number): string {
  if (seconds < -1) return '<invalid>';
  if (seconds < 60) return `${Math.max(seconds, 0)}s`;
  if (seconds < 3600) return `${Math.trunc(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.trunc(seconds / 3600)}h`;
  const days = Math.trunc(seconds / 86_400);
  return days < 365 ? `${days}d` : `${Math.trunc(days / 365)}y`;
}
