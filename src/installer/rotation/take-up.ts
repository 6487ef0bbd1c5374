/** A host takes up what the authorities' files say: kubeconfigs believe the bundle, certificates come from whom signs now. */
import type { ClusterConfiguration } from '../config/types.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { formatKubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { certificateFile, loadAuthorityCertificate } from '../pki/ensure.ts';
import { renewCertificate } from '../pki/renew.ts';
import { readRenewable, renewables } from '../pki/renewable.ts';
import type { RotationStep } from './authorities.ts';
import { crossedPath, replaceFile } from './shared.ts';

/** @param caPem all authorities that clients shall believe */
export async function trustInKubeconfig(changes: Changes, path: string, caPem: string): Promise<boolean> {
  const text = await readText(changes.host, path);
  if (text === undefined) return false;
  const config = parseKubeconfig(text, path);
  for (const { cluster } of config.clusters) {
    if (cluster['certificate-authority-data'] === undefined) continue;
    cluster['certificate-authority-data'] = Buffer.from(caPem).toString('base64');
  }
  return replaceFile(changes, path, formatKubeconfig(config));
}

/** @returns the names of certificates that were made anew, since another authority had signed them */
export async function reissue(changes: Changes, cluster: ClusterConfiguration): Promise<string[]> {
  const { host } = changes;
  const home = { host, certificatesDir: cluster.certificatesDir, externalEtcd: cluster.etcd.external !== undefined };
  const made: string[] = [];
  for (const renewable of renewables) {
    if (home.externalEtcd && renewable.authority === 'etcd/ca') continue;
    const found = await readRenewable(home, renewable);
    if (!found) continue;
    const signer = await loadAuthorityCertificate(host, home.certificatesDir, renewable.authority);
    if (found.certificate.verify(signer.publicKey)) continue;
    if ((await renewCertificate(home, renewable, cluster)) === 'renewed') made.push(renewable.name);
  }
  return made;
}

/**
 * While the new authority signs and the old one is believed by some, the API server shows how the one follows from the other.
 * @returns whether its file has changed
 */
export async function showChain(changes: Changes, certificatesDir: string, step: RotationStep): Promise<boolean> {
  const path = certificateFile(certificatesDir, 'apiserver');
  const text = (await readText(changes.host, path)) ?? '';
  const end = '-----END CERTIFICATE-----\n';
  const leaf = text.slice(0, text.indexOf(end) + end.length);
  const crossed = step === 'issue' ? ((await readText(changes.host, crossedPath)) ?? '') : '';
  return replaceFile(changes, path, leaf + crossed, 0o644);
}
