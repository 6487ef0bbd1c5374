/**
 * Finding the cluster to join: its API server and its CA, trusted because of a token's signature and a pinned key.
 *
 * As kubeadm: cluster-info is fetched without trust, its signature checked with the token, the CA in it checked against
 * the pins, and then fetched again with that CA; both answers must be the same.
 */
import { readFile } from 'node:fs/promises';
import type { ConfigMap } from '../../machinery/api/types.ts';
import { KinitError } from '../errors.ts';
import { pause } from '../host/wait.ts';
import { type Kubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { publicKeyPin, readCertificates } from '../pki/x509.ts';
import { fetchOverTls } from './fetch.ts';
import { parseToken } from './format.ts';
import { isSignatureValid } from './jws.ts';

export interface TokenDiscovery {
  token: string;
  /** `host:port` */
  apiServerEndpoint: string;
  caCertHashes: string[];
  unsafeSkipCAVerification: boolean;
}

export interface DiscoveredCluster {
  server: string;
  caPem: string;
}

const clusterInfoPath = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
const jwsPrefix = 'jws-kubeconfig-';

/** @param timeoutMs how long to retry while the server or the token's signature is not there yet */
export async function discoverByToken(
  discovery: TokenDiscovery,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<DiscoveredCluster> {
  const { token, apiServerEndpoint: endpoint } = discovery;
  const parsed = parseToken(token);
  if (!parsed) throw new KinitError('Validation', 'the token has not the form [a-z0-9]{6}.[a-z0-9]{16}');
  const deadline = Date.now() + timeoutMs;
  const field = `${jwsPrefix}${parsed.id}`;
  const ask = () => retryUntil(deadline, signal, () => fetchClusterInfo(endpoint, undefined, signal));
  let first = await ask();
  while (!first.data?.[field] && Date.now() < deadline && (await isTokenValid(discovery, first, signal))) {
    await pause(500, signal);
    first = await ask();
  }
  const signature = first.data?.[field];
  const kubeconfig = first.data?.['kubeconfig'] ?? '';
  if (!signature) {
    throw new KinitError(
      'Discovery',
      `the cluster at ${endpoint} does not know the token "${parsed.id}.…" (expired, deleted, or mistyped)`,
      {
        seen: `cluster-info has no ${field}`,
        advice: 'on the control plane, run: kinit token create --print-join-command',
      },
    );
  }
  if (!isSignatureValid(signature, kubeconfig, parsed)) {
    throw new KinitError('Discovery', `the secret part of the token "${parsed.id}.…" is wrong`, {
      seen: 'the signature of cluster-info does not match the token',
      advice: 'check the token, or on the control plane run: kinit token create --print-join-command',
    });
  }
  const found = clusterOf(parseKubeconfig(kubeconfig, 'cluster-info'));
  if (!discovery.unsafeSkipCAVerification) checkPins(found.caPem, discovery.caCertHashes);
  if (discovery.caCertHashes.length) {
    const second = await retryUntil(deadline, signal, () => fetchClusterInfo(endpoint, found.caPem, signal));
    if (second.data?.['kubeconfig'] !== kubeconfig) {
      throw new KinitError('Discovery', `${endpoint} answered differently when its certificate was checked`, {
        advice: 'somebody may sit between this host and the cluster; check the network before trying again',
      });
    }
  }
  return found;
}

/**
 * A new token is signed a moment later, and up to half a minute later while another controller manager takes over.
 * Whether there is something to wait for, only the server whose CA is pinned may be asked.
 */
async function isTokenValid(discovery: TokenDiscovery, info: ConfigMap, signal: AbortSignal): Promise<boolean> {
  const { token, apiServerEndpoint, caCertHashes } = discovery;
  if (!caCertHashes.length) return false;
  const { caPem } = clusterOf(parseKubeconfig(info.data?.['kubeconfig'] ?? '', 'cluster-info'));
  checkPins(caPem, caCertHashes);
  const url = `https://${apiServerEndpoint}/version`;
  const { status } = await fetchOverTls(url, { caPem, token, signal, timeoutMs: 10_000 });
  return status !== 401;
}

export async function discoverByFile(path: string): Promise<DiscoveredCluster & { kubeconfig: Kubeconfig }> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Discovery', `cannot read the discovery file ${path}: ${error.code}`);
  });
  const kubeconfig = parseKubeconfig(text, path);
  return { ...clusterOf(kubeconfig), kubeconfig };
}

function clusterOf(kubeconfig: Kubeconfig): DiscoveredCluster {
  const cluster = kubeconfig.clusters[0]?.cluster;
  const data = cluster?.['certificate-authority-data'];
  if (!cluster?.server || !data) throw new KinitError('Discovery', 'cluster-info names no API server with a CA');
  return { server: cluster.server, caPem: Buffer.from(data, 'base64').toString() };
}

function checkPins(caPem: string, pins: string[]): void {
  const found = readCertificates(caPem).map(publicKeyPin);
  const wanted = pins.map((pin) => pin.toLowerCase());
  if (found.length && found.every((pin) => wanted.includes(pin))) return;
  throw new KinitError('Discovery', "the cluster's CA is not the one that --discovery-token-ca-cert-hash names", {
    seen: `the CA there has ${found.join(', ')}; expected ${pins.join(', ')}`,
    advice: 'check the endpoint and the hash; on the control plane, run: kinit token create --print-join-command',
  });
}

async function fetchClusterInfo(endpoint: string, caPem: string | undefined, signal: AbortSignal): Promise<ConfigMap> {
  const answer = await fetchOverTls(`https://${endpoint}${clusterInfoPath}`, { caPem, signal, timeoutMs: 10_000 });
  if (answer.status === 200) {
    const value: unknown = JSON.parse(answer.body);
    return value as ConfigMap;
  }
  throw new KinitError('Discovery', `${endpoint} does not tell about its cluster`, {
    seen: `HTTP ${answer.status} for ${clusterInfoPath}`,
    advice: 'check that the endpoint is a Kubernetes API server with public cluster-info',
  });
}

/** Connection troubles may pass while a control plane starts; wrong names and refused ports are told at once. */
async function retryUntil<T>(deadline: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const passing = error instanceof KinitError && error.code === 'Connection' && error.details.seen === 'timeout';
      if (!passing || Date.now() >= deadline) throw error;
      await pause(500, signal);
    }
  }
}
