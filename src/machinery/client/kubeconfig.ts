/** Reads and writes kubeconfig files. Only what kinit's own components use: certificates, tokens; no exec plugins. */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { dump, load } from 'js-yaml';
import type { RestConfig } from './types.ts';

interface Named<T> {
  name: string;
  cluster?: T;
  user?: T;
  context?: T;
}

interface Kubeconfig {
  kind?: string;
  'current-context'?: string;
  clusters?: Named<Record<string, unknown>>[];
  users?: Named<Record<string, unknown>>[];
  contexts?: Named<{ cluster?: string; user?: string; namespace?: string }>[];
}

/** Throws an error that names the file and what is wrong with it. */
export async function loadKubeconfig(path: string, context?: string): Promise<RestConfig> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot read kubeconfig ${path}: ${error.code ?? error.message}`);
  });
  return parseKubeconfig(text, path, context);
}

export function parseKubeconfig(text: string, path: string, contextName?: string): RestConfig {
  const fail = (what: string): never => {
    throw new Error(`kubeconfig ${path}: ${what}`);
  };
  let document: Kubeconfig;
  try {
    document = load(text) as Kubeconfig;
  } catch (error) {
    return fail(`not YAML: ${(error as Error).message}`);
  }
  if (typeof document !== 'object' || document === null || document.kind !== 'Config')
    return fail('kind is not Config');
  const wanted = contextName ?? document['current-context'];
  if (!wanted) return fail('has no current-context');
  const context = document.contexts?.find((c) => c.name === wanted)?.context ?? fail(`has no context "${wanted}"`);
  const cluster =
    document.clusters?.find((c) => c.name === context.cluster)?.cluster ?? fail(`has no cluster "${context.cluster}"`);
  const user = document.users?.find((u) => u.name === context.user)?.user ?? {};
  const server = cluster['server'];
  if (typeof server !== 'string' || !URL.canParse(server))
    return fail(`cluster "${context.cluster}": server ${JSON.stringify(server)} is not a URL`);
  const decoded = (source: Record<string, unknown>, field: string): string | undefined => {
    const value = source[field];
    return typeof value === 'string' && value ? Buffer.from(value, 'base64').toString('utf8') : undefined;
  };
  const file = (source: Record<string, unknown>, field: string): string | undefined => {
    const value = source[field];
    if (typeof value !== 'string' || !value) return undefined;
    return isAbsolute(value) ? value : join(dirname(path), value);
  };
  const fields = {
    caData: decoded(cluster, 'certificate-authority-data'),
    caFile: file(cluster, 'certificate-authority'),
    certData: decoded(user, 'client-certificate-data'),
    certFile: file(user, 'client-certificate'),
    keyData: decoded(user, 'client-key-data'),
    keyFile: file(user, 'client-key'),
    token: typeof user['token'] === 'string' ? user['token'] : undefined,
    tokenFile: file(user, 'tokenFile'),
    tlsServerName: typeof cluster['tls-server-name'] === 'string' ? cluster['tls-server-name'] : undefined,
    namespace: context.namespace,
  };
  const config: RestConfig = { server, insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true };
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) Object.assign(config, { [key]: value });
  return config;
}

export interface KubeconfigParts {
  clusterName: string;
  userName: string;
  server: string;
  /** PEM. */
  ca?: string;
  cert?: string;
  key?: string;
  certFile?: string;
  keyFile?: string;
  token?: string;
}

/** A kubeconfig with one cluster, user and context, laid out as kubeadm's. */
export function buildKubeconfig(parts: KubeconfigParts): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const context = `${parts.userName}@${parts.clusterName}`;
  const user = {
    ...(parts.cert ? { 'client-certificate-data': base64(parts.cert) } : {}),
    ...(parts.key ? { 'client-key-data': base64(parts.key) } : {}),
    ...(parts.certFile ? { 'client-certificate': parts.certFile } : {}),
    ...(parts.keyFile ? { 'client-key': parts.keyFile } : {}),
    ...(parts.token ? { token: parts.token } : {}),
  };
  return dump(
    {
      apiVersion: 'v1',
      clusters: [
        {
          cluster: { ...(parts.ca ? { 'certificate-authority-data': base64(parts.ca) } : {}), server: parts.server },
          name: parts.clusterName,
        },
      ],
      contexts: [{ context: { cluster: parts.clusterName, user: parts.userName }, name: context }],
      'current-context': context,
      kind: 'Config',
      users: [{ name: parts.userName, user }],
    },
    { lineWidth: -1 },
  );
}
