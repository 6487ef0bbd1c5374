/**
 * The kubelet's identity towards the API server: the kubeconfig as it is, or a client certificate got with a bootstrap
 * token (TLS bootstrap), renewed before it runs out.
 */
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileAtomic } from '../../../machinery/atomic-file.ts';
import { createClient } from '../../../machinery/client/client.ts';
import { buildKubeconfig, loadKubeconfig } from '../../../machinery/client/kubeconfig.ts';
import type { Client, RestConfig } from '../../../machinery/client/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { requestCertificate } from './csr.ts';
import { signingRequest } from './request.ts';
import { storeCertificate } from './store.ts';

const signer = 'kubernetes.io/kube-apiserver-client-kubelet';
const prefix = 'kubelet-client';
const currentName = `${prefix}-current.pem`;

export interface ClientCredentialsOptions {
  kubeconfig: string;
  bootstrapKubeconfig: string | undefined;
  certDir: string;
  nodeName: string;
  /** rotateCertificates */
  rotate: boolean;
  log: Logger;
  signal: AbortSignal;
}

/** Answers how to reach the API server; waits for a certificate when there is none yet. */
export async function clientCredentials(options: ClientCredentialsOptions): Promise<RestConfig> {
  const { kubeconfig, bootstrapKubeconfig, certDir, log, signal } = options;
  const current = join(certDir, currentName);
  if (bootstrapKubeconfig && !(await usable(kubeconfig))) {
    log.info('Using bootstrap kubeconfig to generate TLS client cert, key and kubeconfig file');
    const bootstrap = await loadKubeconfig(bootstrapKubeconfig);
    const client = createClient({ ...bootstrap, userAgent: 'kubelet' });
    try {
      await obtain(client, options, async () => undefined);
    } finally {
      client.close();
    }
    const ca = bootstrap.caData ?? (bootstrap.caFile ? await readFile(bootstrap.caFile, 'utf8') : undefined);
    await mkdir(dirname(kubeconfig), { recursive: true });
    await writeFileAtomic(
      kubeconfig,
      buildKubeconfig({
        clusterName: 'default-cluster',
        userName: 'default-auth',
        server: bootstrap.server,
        ...(ca ? { ca } : {}),
        certFile: current,
        keyFile: current,
      }),
      0o600,
    );
  }
  signal.throwIfAborted();
  const config = await loadKubeconfig(kubeconfig);
  if (!options.rotate) return config;
  // A kubeconfig with the certificate in itself (as the first control plane's): it moves to a file that can be renewed.
  if (!(await exists(current)) && config.certData && config.keyData)
    await storeCertificate(certDir, prefix, config.certData, config.keyData);
  const rotating = (await exists(current)) ? withFiles(config, current) : config;
  if (rotating.certFile === current) void rotate(options, rotating);
  return rotating;
}

function withFiles(config: RestConfig, path: string): RestConfig {
  const { certData: _cert, keyData: _key, ...rest } = config;
  return { ...rest, certFile: path, keyFile: path };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A kubeconfig whose certificate has not run out. */
async function usable(kubeconfig: string): Promise<boolean> {
  if (!(await exists(kubeconfig))) return false;
  const config = await loadKubeconfig(kubeconfig);
  if (config.token || config.tokenFile) return true;
  const pem = config.certData ?? (config.certFile ? await readFile(config.certFile, 'utf8').catch(() => '') : '');
  return pem !== '' && Date.parse(new X509Certificate(pem).validTo) > Date.now();
}

/** Asks for a certificate until there is one, and stores it. */
async function obtain(
  client: Client,
  { certDir, nodeName, log, signal }: ClientCredentialsOptions,
  onFailure: () => Promise<void>,
): Promise<void> {
  // The key survives restarts, so that a request that is waiting for approval is found again.
  const keyPath = join(certDir, 'kubelet-client.key.tmp');
  await mkdir(certDir, { recursive: true, mode: 0o755 });
  const kept = await readFile(keyPath, 'utf8').catch(() => undefined);
  const { csr, key } = signingRequest({
    commonName: `system:node:${nodeName}`,
    organization: 'system:nodes',
    ...(kept ? { key: createPrivateKey(kept) } : {}),
  });
  if (!kept) await writeFileAtomic(keyPath, key, 0o600);
  for (;;) {
    signal.throwIfAborted();
    try {
      const cert = await requestCertificate(client, {
        csr,
        signer,
        usages: ['digital signature', 'client auth'],
        name: `csr-${randomBytes(5).toString('hex').slice(0, 5)}`,
        signal,
      });
      await storeCertificate(certDir, prefix, cert, key);
      await rm(keyPath, { force: true });
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      log.error(`Failed while requesting a signed certificate from the control plane: ${(error as Error).message}`);
      await onFailure();
      await delay(2000, undefined, { signal });
    }
  }
}

/** Renews the certificate when 70 to 90 % of its life are over. The client reads the file again by itself. */
async function rotate(options: ClientCredentialsOptions, config: RestConfig): Promise<void> {
  const { certDir, log, signal } = options;
  try {
    for (;;) {
      const certificate = new X509Certificate(await readFile(join(certDir, currentName)));
      const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
      const at = from + (to - from) * (0.7 + 0.2 * Math.random());
      await waitUntil(at, signal);
      log.info('Rotating certificates');
      const client = createClient({ ...config, userAgent: 'kubelet' });
      try {
        await obtain(client, options, async () => undefined);
      } finally {
        client.close();
      }
    }
  } catch (error) {
    if (!signal.aborted) log.error(`certificate rotation ended: ${(error as Error).message}`);
  }
}

async function waitUntil(at: number, signal: AbortSignal): Promise<void> {
  // Timers cannot be longer than 24 days, and clocks are set.
  for (let left = at - Date.now(); left > 0; left = at - Date.now())
    await delay(Math.min(left, 3_600_000), undefined, { signal, ref: false });
}
