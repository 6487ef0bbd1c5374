/** kubeconfig files: the shape, reading and writing, and those that a control plane and a kubelet use. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { dump } from 'js-yaml';
import { z } from 'zod';
import type { RestConfig } from '../../machinery/client/types.ts';
import { joinHostPort, splitHostPort } from '../config/cidr.ts';
import { localEndpoint } from '../config/local-endpoint.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import { describeIssues, formatPlace } from '../config/read-config.ts';
import type { InitConfiguration } from '../config/types.ts';
import { type FieldPath, parseYaml } from '../config/yaml.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { certificateFile, loadAuthority, loadAuthorityCertificate, validity } from '../pki/ensure.ts';
import { makeKey, privateKeyPem } from '../pki/keys.ts';
import { certificatePem, issueCertificate } from '../pki/x509.ts';

export interface Kubeconfig {
  apiVersion: 'v1';
  kind: 'Config';
  clusters: {
    name: string;
    cluster: {
      server: string;
      'certificate-authority-data'?: string;
      'certificate-authority'?: string;
      'tls-server-name'?: string;
    };
  }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  'current-context': string;
  users: { name: string; user: Record<string, string> }[];
  preferences?: object;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

export interface KubeconfigParts {
  server: string;
  /** Empty: the file names no authority yet. */
  caPem: string;
  clusterName: string;
  userName: string;
  user: Record<string, string>;
}

export function buildKubeconfig({ server, caPem, clusterName, userName, user }: KubeconfigParts): Kubeconfig {
  const context = clusterName && userName ? `${userName}@${clusterName}` : '';
  const authority = caPem ? { 'certificate-authority-data': base64(caPem) } : {};
  return {
    apiVersion: 'v1',
    clusters: [{ cluster: { ...authority, server }, name: clusterName }],
    contexts: [{ context: { cluster: clusterName, user: userName }, name: context }],
    'current-context': context,
    kind: 'Config',
    users: [{ name: userName, user }],
  };
}

export function formatKubeconfig(config: Kubeconfig): string {
  return dump(config, { lineWidth: -1, seqNoIndent: true });
}

const text = z.string();
const named = <T extends z.ZodType>(field: string, type: T) => z.array(z.looseObject({ name: text, [field]: type }));
const cluster = z.looseObject({
  server: text,
  'certificate-authority-data': text.optional(),
  'certificate-authority': text.optional(),
});
const context = z.looseObject({ cluster: text, user: text.optional(), namespace: text.optional() });
const credentials = ['client-certificate-data', 'client-certificate', 'client-key-data', 'client-key', 'token'];
const user = z.looseObject(Object.fromEntries(credentials.map((field) => [field, text.optional()])));
/** What is needed of it; other fields are other programs' affair. */
const kubeconfigDocument = z.looseObject({
  kind: z.literal('Config'),
  clusters: named('cluster', cluster),
  contexts: named('context', context).nullable().optional(),
  users: named('user', user.nullable().optional()).nullable().optional(),
  'current-context': text.optional(),
});

/** @throws KinitError Validation that lists every mistake with its place */
export function parseKubeconfig(content: string, filename: string): Kubeconfig {
  const document = parseYaml(content, filename)[0];
  if ((document?.value as Partial<Kubeconfig> | undefined)?.kind !== 'Config') {
    throw new KinitError('Validation', `${filename} is not a kubeconfig file`);
  }
  const parsed = kubeconfigDocument.safeParse(document!.value, { reportInput: true });
  if (!parsed.success) {
    const place = (path: FieldPath) => formatPlace(filename, document!, path);
    throw new KinitError('Validation', describeIssues(parsed.error, kubeconfigDocument, 'Config', place).join('\n'), {
      advice: 'correct the kubeconfig; nothing was changed',
    });
  }
  const { contexts, users, 'current-context': current = '' } = parsed.data;
  return { ...parsed.data, contexts: contexts ?? [], users: users ?? [], 'current-context': current } as Kubeconfig;
}

/** How the current context of a kubeconfig reaches its API server. */
export function restConfigOf(config: Kubeconfig, filename: string): RestConfig {
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users.find(({ name }) => name === context?.user)?.user;
  if (!cluster) throw new KinitError('Validation', `${filename} has no cluster for its current context`);
  const decode = (data: string | undefined) =>
    data === undefined ? undefined : Buffer.from(data, 'base64').toString();
  return {
    server: cluster.server,
    caData: decode(cluster['certificate-authority-data']),
    caFile: cluster['certificate-authority'],
    certData: decode(user?.['client-certificate-data']),
    certFile: user?.['client-certificate'],
    keyData: decode(user?.['client-key-data']),
    keyFile: user?.['client-key'],
    token: user?.['token'],
  };
}

export interface KubeconfigIdentity {
  path: string;
  title: string;
  commonName(config: InitConfiguration): string;
  organizations?: string[];
  userName?: string;
  /** Talks to the API server of its own host, not through the shared endpoint. */
  local?: boolean;
}

export const kubeconfigIdentities = {
  admin: {
    path: kubeconfigPaths.admin,
    title: 'the kubeconfig of the administrator',
    commonName: () => 'kubernetes-admin',
    organizations: ['kubeadm:cluster-admins'],
  },
  superAdmin: {
    path: kubeconfigPaths.superAdmin,
    title: 'the kubeconfig of the super administrator',
    commonName: () => 'kubernetes-super-admin',
    organizations: ['system:masters'],
  },
  kubelet: {
    path: kubeconfigPaths.kubelet,
    title: 'the kubeconfig of the kubelet',
    commonName: (config) => `system:node:${config.nodeRegistration.name}`,
    organizations: ['system:nodes'],
    local: true,
  },
  controllerManager: {
    path: kubeconfigPaths.controllerManager,
    title: 'the kubeconfig of the controller manager',
    commonName: () => 'system:kube-controller-manager',
    local: true,
  },
  scheduler: {
    path: kubeconfigPaths.scheduler,
    title: 'the kubeconfig of the scheduler',
    commonName: () => 'system:kube-scheduler',
    local: true,
  },
} satisfies Record<string, KubeconfigIdentity>;

/** `https://<shared endpoint, or this host's address>`. */
export function controlPlaneServer({ cluster, localAPIEndpoint }: InitConfiguration): string {
  return `https://${cluster.controlPlaneEndpoint || localServerAddress(localAPIEndpoint)}`;
}

/** The API server as programs on a node reach it, whichever node it is. */
export function nodeServer(config: InitConfiguration): string {
  const endpoint = localEndpoint(config.host);
  return endpoint ? `https://${endpoint}` : controlPlaneServer(config);
}

/** With local endpoints, an address that is shared is that of one control plane, but for the virtual one; a name may lead to any. */
function outlivesControlPlanes({ cluster, host }: InitConfiguration): boolean {
  const shared = splitHostPort(cluster.controlPlaneEndpoint)?.host ?? '';
  return !localEndpoint(host) || isIP(shared) === 0 || shared === host.endpoint?.virtualIP;
}

/**
 * The server of one of the kubeconfigs of a host. Where nothing is shared that outlives any control plane, the
 * administrator's lead to their own host, too: they work there, and where they are copied to.
 */
export function serverOf(identity: KubeconfigIdentity, config: InitConfiguration): string {
  const own = identity.local || !outlivesControlPlanes(config);
  return own ? ownServer(config) : controlPlaneServer(config);
}

/** The API server of the control plane itself. */
export const ownServer = ({ localAPIEndpoint }: InitConfiguration): string =>
  `https://${localServerAddress(localAPIEndpoint)}`;

function localServerAddress({ advertiseAddress, bindPort }: InitConfiguration['localAPIEndpoint']): string {
  return joinHostPort(advertiseAddress, bindPort);
}

/** Writes a kubeconfig with a new client certificate; one that is there and fits is kept. */
export async function ensureKubeconfig(
  changes: Changes,
  config: InitConfiguration,
  identity: KubeconfigIdentity,
): Promise<boolean> {
  const { host } = changes;
  const { certificatesDir } = config.cluster;
  const server = serverOf(identity, config);
  // A static pod that starts while its file is away makes an empty one, as its manifest says (FileOrCreate).
  const existing = (await readText(host, identity.path))?.trim();
  if (existing) {
    const authority = await loadAuthorityCertificate(host, certificatesDir, 'ca');
    const found = parseKubeconfig(existing, identity.path);
    const before = assertTrusts(found, identity.path, authority);
    if (before === server) return false;
    // Another way to the same cluster: the nodes have got endpoints of their own.
    if (localEndpoint(config.host) && before === controlPlaneServer(config))
      return changes.file(identity.path, formatKubeconfig(withServer(found, server)), { mode: 0o600 });
    throw unusable(identity.path, `it points to ${before} instead of ${server}`);
  }
  const issuer = await loadAuthority(host, certificatesDir, 'ca');
  const commonName = identity.commonName(config);
  const key = await makeKey(config.cluster.encryptionAlgorithm);
  const certificate = issueCertificate(
    {
      commonName,
      organizations: identity.organizations,
      usages: ['clientAuth'],
      ...validity(config.cluster.certificateValidityPeriod),
    },
    key,
    issuer,
  );
  const kubeconfig = buildKubeconfig({
    server,
    // While the authority is rotated, the old and the new one.
    caPem: (await readText(host, certificateFile(certificatesDir, 'ca'))) ?? certificatePem(issuer.certificate),
    clusterName: config.cluster.clusterName,
    userName: commonName,
    user: {
      'client-certificate-data': base64(certificatePem(certificate)),
      'client-key-data': base64(privateKeyPem(key)),
    },
  });
  return changes.file(identity.path, formatKubeconfig(kubeconfig), { mode: 0o600 });
}

/** @returns where it leads to */
function assertTrusts(found: Kubeconfig, path: string, authority: X509Certificate): string {
  const { caData, server } = restConfigOf(found, path);
  if (caData !== undefined && new X509Certificate(caData).fingerprint256 !== authority.fingerprint256)
    throw unusable(path, 'it trusts another CA than the one on this host');
  return server;
}

const unusable = (path: string, problem: string) =>
  new KinitError('Validation', `the existing kubeconfig ${path} cannot be used: ${problem}`, {
    advice: 'move it away so that kinit makes a new one, or run kinit reset first',
  });

export const withServer = (config: Kubeconfig, server: string): Kubeconfig => ({
  ...config,
  clusters: config.clusters.map((entry) => ({ ...entry, cluster: { ...entry.cluster, server } })),
});
