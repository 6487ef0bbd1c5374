/** The certificates that expire with a control plane, in the order and with the words in which kubeadm tells of them. */
import { X509Certificate } from 'node:crypto';
import { kubernetesDir } from '../config/paths.ts';
import { type Host, readText } from '../host/host.ts';
import { type Kubeconfig, parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { type AuthorityName, leafCertificates } from './catalog.ts';
import { certificateFile } from './ensure.ts';
import { renewableDescriptions } from './renewable-names.ts';

export interface Renewable {
  /** As `kinit certs renew` takes it. */
  name: string;
  description: string;
  authority: AuthorityName;
  /** Embedded in a kubeconfig below /etc/kubernetes; otherwise a pair of files below the certificates folder. */
  kind: 'kubeconfig' | 'file';
  /** Name of the file, without folder (and, of a pair, without ending). */
  file: string;
}

const kubeconfigFiles = ['admin.conf', 'super-admin.conf', 'controller-manager.conf', 'scheduler.conf'];

/** `etcd/server` is `etcd-server` on the command line. */
export const commandName = (file: string) => file.replace('/', '-');

export const renewables: readonly Renewable[] = [
  ...kubeconfigFiles.map((file): Renewable => {
    return { name: file, description: renewableDescriptions[file]!, authority: 'ca', kind: 'kubeconfig', file };
  }),
  ...leafCertificates.map(({ name: file, authority }): Renewable => {
    const name = commandName(file);
    return { name, description: renewableDescriptions[name]!, authority, kind: 'file', file };
  }),
].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Whose certificates these are: folders of a host. */
export interface CertificateHome {
  host: Host;
  certificatesDir: string;
  kubeconfigDir?: string;
  /** etcd is elsewhere, and so are its certificates. */
  externalEtcd?: boolean;
}

export const kubeconfigFile = ({ kubeconfigDir = kubernetesDir }: CertificateHome, file: string) =>
  `${kubeconfigDir}/${file}`;

/** What is there of a certificate; undefined when nothing is. */
export async function readRenewable(
  home: CertificateHome,
  { kind, file }: Renewable,
): Promise<{ certificate: X509Certificate; kubeconfig?: Kubeconfig } | undefined> {
  const path = kind === 'file' ? certificateFile(home.certificatesDir, file) : kubeconfigFile(home, file);
  const text = await readText(home.host, path);
  if (text === undefined) return undefined;
  if (kind === 'file') return { certificate: new X509Certificate(text) };
  const kubeconfig = parseKubeconfig(text, path);
  const { certData, certFile } = restConfigOf(kubeconfig, path);
  const pem = certData ?? (certFile && (await readText(home.host, certFile)));
  return pem ? { certificate: new X509Certificate(pem), kubeconfig } : undefined;
}
