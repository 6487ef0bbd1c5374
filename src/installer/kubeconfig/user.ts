/** A kubeconfig for a person or program: with a client certificate of the cluster's authority, or with a token. */

import { kubeconfigPaths } from '../config/paths.ts';
import type { InitConfiguration } from '../config/types.ts';
import { knownBalancer } from '../endpoint/balancer.ts';
import { type Host, readText } from '../host/host.ts';
import { certificateFile, loadAuthority, loadAuthorityCertificate, validity } from '../pki/ensure.ts';
import { makeKey, privateKeyPem } from '../pki/keys.ts';
import { certificatePem, issueCertificate } from '../pki/x509.ts';
import { buildKubeconfig, controlPlaneServer, formatKubeconfig, parseKubeconfig, restConfigOf } from './kubeconfig.ts';

export interface UserOptions {
  /** The common name: who the cluster takes the user for. */
  clientName: string;
  /** Groups. */
  organizations: string[];
  /** Go duration; default: as the cluster's certificates. */
  validityPeriod?: string;
  /** Instead of a certificate. */
  token?: string;
}

export async function userKubeconfig(host: Host, config: InitConfiguration, options: UserOptions): Promise<string> {
  const { clientName, organizations, token } = options;
  const { cluster } = config;
  // While the authority is rotated, the old and the new one.
  const caPem =
    (await readText(host, certificateFile(cluster.certificatesDir, 'ca'))) ??
    certificatePem(await loadAuthorityCertificate(host, cluster.certificatesDir, 'ca'));
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const credentials = async (): Promise<Record<string, string>> => {
    if (token) return { token };
    const authority = await loadAuthority(host, cluster.certificatesDir, 'ca');
    const key = await makeKey(cluster.encryptionAlgorithm);
    const period = validity(options.validityPeriod ?? cluster.certificateValidityPeriod);
    const made = issueCertificate(
      { commonName: clientName, organizations, usages: ['clientAuth'], ...period },
      key,
      authority,
    );
    return {
      'client-certificate-data': base64(certificatePem(made)),
      'client-key-data': base64(privateKeyPem(key)),
    };
  };
  return formatKubeconfig(
    buildKubeconfig({
      server: (await ownServer(host)) ?? controlPlaneServer(config),
      caPem,
      clusterName: cluster.clusterName,
      userName: clientName,
      user: await credentials(),
    }),
  );
}

/** Where nodes find the API servers by themselves, people use the address that the administrator of this host uses. */
async function ownServer(host: Host): Promise<string | undefined> {
  const text = (await knownBalancer(host)) && (await readText(host, kubeconfigPaths.admin));
  return text ? restConfigOf(parseKubeconfig(text, kubeconfigPaths.admin), kubeconfigPaths.admin).server : undefined;
}
