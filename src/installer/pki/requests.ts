/** Certificate signing requests for a control plane whose authorities' keys lie elsewhere. */
import type { InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host } from '../host/host.ts';
import {
  buildKubeconfig,
  formatKubeconfig,
  type KubeconfigIdentity,
  kubeconfigIdentities,
  serverOf,
} from '../kubeconfig/kubeconfig.ts';
import { leafCertificates } from './catalog.ts';
import { keyFile } from './ensure.ts';
import { makeKey, privateKeyPem } from './keys.ts';
import { certificateRequestPem, type SubjectNames } from './x509.ts';

export interface RequestFolders {
  certificatesDir: string;
  kubeconfigDir: string;
}

/**
 * Writes a key and a request per certificate, and a kubeconfig with its key and a request beside it.
 * @returns the requests' paths
 */
export async function generateRequests(
  host: Host,
  config: InitConfiguration,
  folders: RequestFolders,
): Promise<string[]> {
  const { certificatesDir, kubeconfigDir } = folders;
  const made: string[] = [];
  const write = async (path: string, content: string) => {
    if (await exists(host, path)) throw new KinitError('Validation', `${path} exists already; it is not overwritten`);
    await host.makeDirectory(path.slice(0, path.lastIndexOf('/')), 0o700);
    await host.writeFile(path, content, { mode: 0o600 });
  };
  for (const leaf of leafCertificates) {
    const key = await makeKey(config.cluster.encryptionAlgorithm);
    const names: SubjectNames = { commonName: leaf.commonName(config), organizations: leaf.organizations };
    await write(keyFile(certificatesDir, leaf.name), privateKeyPem(key));
    const path = `${certificatesDir}/${leaf.name}.csr`;
    await write(path, certificateRequestPem({ ...names, altNames: leaf.altNames?.(config) ?? [] }, key));
    made.push(path);
  }
  for (const identity of Object.values<KubeconfigIdentity>(kubeconfigIdentities)) {
    const key = await makeKey(config.cluster.encryptionAlgorithm);
    const commonName = identity.commonName(config);
    const path = `${kubeconfigDir}/${identity.path.slice(identity.path.lastIndexOf('/') + 1)}`;
    const kubeconfig = buildKubeconfig({
      server: serverOf(identity, config),
      caPem: '',
      clusterName: config.cluster.clusterName,
      userName: commonName,
      user: { 'client-key-data': Buffer.from(privateKeyPem(key)).toString('base64') },
    });
    await write(path, formatKubeconfig(kubeconfig));
    await write(`${path}.csr`, certificateRequestPem({ commonName, organizations: identity.organizations }, key));
    made.push(`${path}.csr`);
  }
  return made;
}
