/** An etcd that is not kinit's (`etcd.external`): its flags for the API server, its files, and whether it can be used. */
import { dirname } from 'node:path';
import type { ClusterConfiguration, ExternalEtcd } from '../config/types.ts';
import type { Mount } from '../control-plane/volumes.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { etcdMessage, withEtcd } from './connection.ts';

/** For kube-apiserver. */
export function externalEtcdArguments({ endpoints, caFile, certFile, keyFile }: ExternalEtcd): Record<string, string> {
  return {
    'etcd-servers': endpoints.join(','),
    ...(caFile ? { 'etcd-cafile': caFile } : {}),
    ...(certFile && keyFile ? { 'etcd-certfile': certFile, 'etcd-keyfile': keyFile } : {}),
  };
}

/** The folders of the files, as far as the API server does not see them anyway; named as kubeadm names them. */
export function externalEtcdMounts({ etcd, certificatesDir }: ClusterConfiguration): Mount[] {
  const { caFile, certFile, keyFile } = etcd.external ?? {};
  const seen = ['/etc/ssl/certs', certificatesDir];
  const folders = new Set(
    [caFile, certFile, keyFile]
      .filter((path): path is string => path !== undefined && path !== '')
      .map(dirname)
      .filter((folder) => !seen.some((other) => folder === other || folder.startsWith(`${other}/`))),
  );
  return [...folders].sort().map((path, i) => ({
    name: `etcd-certs-${i}`,
    path,
    readOnly: true,
    type: 'DirectoryOrCreate',
  }));
}

/** Name in the Secret kubeadm-certs → path on the host. */
export function externalEtcdFiles({ caFile, certFile, keyFile }: ExternalEtcd): Map<string, string> {
  const files = new Map<string, string>();
  if (caFile) files.set('external-etcd-ca.crt', caFile);
  if (certFile) files.set('external-etcd.crt', certFile);
  if (keyFile) files.set('external-etcd.key', keyFile);
  return files;
}

const callTimeoutMs = 5_000;

/**
 * The version of the member at an endpoint.
 * @throws KinitError when it does not answer
 */
export async function externalEtcdVersion(host: Host, external: ExternalEtcd, endpoint: string): Promise<string> {
  const { caFile, certFile, keyFile } = external;
  const read = async (path: string) => {
    const content = await host.readFile(path);
    if (!content) throw new KinitError('Validation', `${path} does not exist`);
    return content;
  };
  const credentials = caFile
    ? {
        rootCertificate: await read(caFile),
        ...(certFile && keyFile ? { certChain: await read(certFile), privateKey: await read(keyFile) } : {}),
      }
    : undefined;
  try {
    return await withEtcd({ endpoint, ...(credentials ? { credentials } : {}) }, async ({ maintenance }) => {
      const { version } = await maintenance.status({ deadline: Date.now() + callTimeoutMs });
      return version;
    });
  } catch (error) {
    throw new KinitError('Connection', `the etcd at ${endpoint} does not answer`, { seen: etcdMessage(error) });
  }
}

/** What kube-apiserver needs of etcd came with 3.5. */
export const isNewEnough = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 5);
};
