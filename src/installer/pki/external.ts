/**
 * Authorities whose keys are elsewhere: `ca.crt` without `ca.key`. kinit then makes nothing that such an authority would have
 * to sign; all of it has to be on the host, and is checked before anything else happens (kubeadm: external CA mode).
 */
import { X509Certificate } from 'node:crypto';
import { basename } from 'node:path';
import { kubeconfigPaths } from '../config/paths.ts';
import type { ClusterConfiguration, InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from '../host/host.ts';
import {
  type KubeconfigIdentity,
  kubeconfigIdentities,
  parseKubeconfig,
  restConfigOf,
} from '../kubeconfig/kubeconfig.ts';
import { type AuthorityName, authorities, isUsed, leafCertificates } from './catalog.ts';
import { certificateFile, checkLeaf, keyFile } from './ensure.ts';
import { publicKeyPin, readCertificates, subjectNames } from './x509.ts';

/** Its certificate is here, its key is not. */
export async function isExternal(host: Host, dir: string, name: AuthorityName): Promise<boolean> {
  return (await exists(host, certificateFile(dir, name))) && !(await exists(host, keyFile(dir, name)));
}

export async function externalAuthorities(
  host: Host,
  { certificatesDir, etcd }: Pick<ClusterConfiguration, 'certificatesDir' | 'etcd'>,
): Promise<AuthorityName[]> {
  const found: AuthorityName[] = [];
  for (const { name } of authorities)
    if (isUsed(name, { etcd }) && (await isExternal(host, certificatesDir, name))) found.push(name);
  return found;
}

/**
 * @returns the authorities whose keys are elsewhere
 * @throws KinitError Preflight with everything that is missing or does not fit
 */
export async function checkExternalAuthorities(host: Host, config: InitConfiguration): Promise<AuthorityName[]> {
  const dir = config.cluster.certificatesDir;
  const external = await externalAuthorities(host, config.cluster);
  if (!external.length) return external;
  if (config.uploadCerts) assertUploadable(external);
  const mistakes: string[] = [];
  const attempt = async (work: () => Promise<string | undefined>) => {
    const mistake = await work().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    if (mistake) mistakes.push(mistake);
  };
  for (const leaf of leafCertificates.filter(({ authority }) => external.includes(authority))) {
    await attempt(async () =>
      (await checkLeaf(host, config, leaf))
        ? undefined
        : `${certificateFile(dir, leaf.name)} or its key is missing: ${leaf.title}`,
    );
  }
  if (external.includes('ca')) {
    for (const identity of required) await attempt(() => kubeconfigMistake(host, identity, dir));
    await attempt(() => superAdminMistake(host, dir));
  }
  if (!mistakes.length) return external;
  const keys = external.map((name) => keyFile(dir, name)).join(' and ');
  throw new KinitError(
    'Preflight',
    `external CA mode: without ${keys} on this host, all that is signed with it has to be there`,
    {
      seen: mistakes.join('\n'),
      advice:
        'make keys and requests with kinit certs generate-csr, have them signed, and put certificates and kubeconfigs in place',
    },
  );
}

/** A control plane that joins could make nothing with an authority's certificate alone. */
export function assertUploadable(external: readonly AuthorityName[]): void {
  if (!external.some((name) => name !== 'etcd/ca')) return;
  throw new KinitError('Validation', "can't use upload-certs with an external CA or an external front-proxy CA", {
    advice: 'leave --upload-certs away, and copy the certificates to the other control planes',
  });
}

const { admin, superAdmin, kubelet, controllerManager, scheduler } = kubeconfigIdentities;
const required: KubeconfigIdentity[] = [admin, kubelet, controllerManager, scheduler];

/** What is wrong with a kubeconfig that kinit cannot make itself. */
async function kubeconfigMistake(host: Host, { path }: KubeconfigIdentity, dir: string): Promise<string | undefined> {
  const text = await readText(host, path);
  if (text === undefined) return `the kubeconfig ${path} is missing`;
  const rest = restConfigOf(parseKubeconfig(text, path), path);
  const read = async (data: string | undefined, file: string | undefined) =>
    data ?? (file === undefined ? undefined : await readText(host, file));
  const [ca, certificate, key] = [
    await read(rest.caData, rest.caFile),
    await read(rest.certData, rest.certFile),
    await read(rest.keyData, rest.keyFile),
  ];
  const missing = Object.entries({
    'certificate-authority-data': ca,
    'client-certificate-data': certificate,
    'client-key-data': key,
  })
    .filter(([, value]) => !value)
    .map(([name]) => name);
  if (!ca || !certificate || !key) return `the kubeconfig ${path} has no ${missing.join(' and no ')}`;
  const authority = new X509Certificate((await readText(host, certificateFile(dir, 'ca'))) ?? '');
  if (!readCertificates(ca).some((one) => publicKeyPin(one) === publicKeyPin(authority)))
    return `the kubeconfig ${path} trusts another CA than ${certificateFile(dir, 'ca')}`;
  const client = new X509Certificate(certificate);
  if (!client.verify(authority.publicKey))
    return `the client certificate in ${path} is not signed by ${certificateFile(dir, 'ca')}`;
  if (client.validToDate < new Date()) return `the client certificate in ${path} expired on ${client.validTo}`;
  return undefined;
}

/** Somebody has to be allowed everything before the administrators have their role. */
async function superAdminMistake(host: Host, dir: string): Promise<string | undefined> {
  if (await exists(host, superAdmin.path)) return kubeconfigMistake(host, superAdmin, dir);
  const text = await readText(host, admin.path);
  const { certData, certFile } = text === undefined ? {} : restConfigOf(parseKubeconfig(text, admin.path), admin.path);
  const pem = certData ?? (certFile && (await readText(host, certFile)));
  if (!pem || subjectNames(new X509Certificate(pem)).organizations?.includes('system:masters')) return undefined;
  return `the kubeconfig ${superAdmin.path} is missing, and ${admin.path} is not of the group system:masters`;
}

/** As which kubeconfig the first objects are made: the one whose rights do not come from the cluster, when there is one. */
export async function firstAdministrator(host: Host): Promise<string> {
  return (await exists(host, kubeconfigPaths.superAdmin)) ? kubeconfigPaths.superAdmin : kubeconfigPaths.admin;
}

export const describeExternal = (dir: string, external: readonly AuthorityName[]): string =>
  `external CA mode: using the existing ${external.map((name) => basename(certificateFile(dir, name))).join(', ')} without key`;
