/** New certificates for old ones: the same names and usages, a new key, a new span of time. */
import type { X509Certificate } from 'node:crypto';
import type { ClusterConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host } from '../host/host.ts';
import { formatKubeconfig, type Kubeconfig } from '../kubeconfig/kubeconfig.ts';
import { certificateFile, keyFile, loadAuthority, validity } from './ensure.ts';
import { makeKey, privateKeyPem } from './keys.ts';
import { type CertificateHome, kubeconfigFile, type Renewable, readRenewable } from './renewable.ts';
import {
  altNamesOf,
  certificatePem,
  type ExtendedKeyUsage,
  issueCertificate,
  publicKeyPin,
  readCertificates,
  subjectNames,
} from './x509.ts';

export type RenewOutcome = 'renewed' | 'missing' | 'external';

const usageNames: Record<string, ExtendedKeyUsage> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
};

/** Makes the certificate again, with what the old one says and the cluster's algorithm and period. */
export async function renewCertificate(
  home: CertificateHome,
  renewable: Renewable,
  settings: Pick<ClusterConfiguration, 'encryptionAlgorithm' | 'certificateValidityPeriod'>,
): Promise<RenewOutcome> {
  const found = await readRenewable(home, renewable);
  if (!found) return 'missing';
  const { host, certificatesDir } = home;
  if (!(await exists(host, keyFile(certificatesDir, renewable.authority)))) return 'external';
  const issuer = await loadAuthority(host, certificatesDir, renewable.authority);
  const { certificate: old, kubeconfig } = found;
  const key = await makeKey(settings.encryptionAlgorithm);
  const request = {
    ...subjectNames(old),
    altNames: altNamesOf(old),
    usages: (old.keyUsage ?? []).flatMap((oid) => usageNames[oid] ?? []),
    ...validity(settings.certificateValidityPeriod),
  };
  const made = issueCertificate(request, key, issuer);
  if (kubeconfig) {
    assertTrusts(kubeconfig, renewable.file, issuer.certificate);
    const path = kubeconfigFile(home, renewable.file);
    await replace(host, path, formatKubeconfig(withPair(kubeconfig, certificatePem(made), privateKeyPem(key))));
  } else {
    await replace(host, keyFile(certificatesDir, renewable.file), privateKeyPem(key));
    await replace(host, certificateFile(certificatesDir, renewable.file), certificatePem(made));
  }
  return 'renewed';
}

/** Keeps owner and mode of the file. */
async function replace(host: Host, path: string, content: string): Promise<void> {
  const facts = await host.stat(path);
  const { mode = 0o600, uid, gid } = facts ?? {};
  await host.writeFile(path, content, { mode, uid, gid });
}

function withPair(config: Kubeconfig, certificate: string, key: string): Kubeconfig {
  const current = config.contexts.find(({ name }) => name === config['current-context'])?.context.user;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const user = { 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) };
  return { ...config, users: config.users.map((entry) => (entry.name === current ? { ...entry, user } : entry)) };
}

/** A kubeconfig that trusts another authority would not work with a certificate of this one. */
function assertTrusts(config: Kubeconfig, file: string, authority: X509Certificate): void {
  const data = config.clusters[0]?.cluster['certificate-authority-data'];
  if (data === undefined) return;
  const trusted = readCertificates(Buffer.from(data, 'base64').toString());
  if (trusted.some((certificate) => publicKeyPin(certificate) === publicKeyPin(authority))) return;
  throw new KinitError('Validation', `${file} does not trust the authority that would sign its new certificate`, {
    advice: 'move it away and run: kinit init phase kubeconfig all',
  });
}
