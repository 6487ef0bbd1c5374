/** Waiting until the API server of this host answers, and saying what is wrong when it does not. */
import { joinHostPort } from '../config/cidr.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import type { InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { fetchOverTls, type TlsRequest } from '../tokens/fetch.ts';
import { failWhenFull } from './last-words.ts';

/** How often what keeps etcd from starting is looked for. */
const lookMs = 1000;

export interface HealthWait {
  timeoutMs: number;
  signal: AbortSignal;
}

/** One answer of a health endpoint, or why there was none. */
async function probe(url: string, request: TlsRequest): Promise<{ ok: boolean; seen: string }> {
  try {
    const { status, body } = await fetchOverTls(url, request);
    return { ok: status === 200, seen: `HTTP ${status}: ${body.slice(0, 400)}` };
  } catch (error) {
    request.signal?.throwIfAborted();
    return { ok: false, seen: error instanceof KinitError ? `${error.message}: ${error.details.seen}` : String(error) };
  }
}

export async function waitForControlPlane(
  host: Host,
  config: Pick<InitConfiguration, 'localAPIEndpoint'>,
  wait: HealthWait,
  /** Of an etcd on this host. */
  dataDir?: string,
): Promise<void> {
  const began = new Date();
  let looked = began.getTime();
  const { advertiseAddress, bindPort } = config.localAPIEndpoint;
  const text =
    (await readText(host, kubeconfigPaths.superAdmin)) ?? (await readText(host, kubeconfigPaths.admin)) ?? '';
  const { caData, certData, keyData } = restConfigOf(
    parseKubeconfig(text, kubeconfigPaths.admin),
    kubeconfigPaths.admin,
  );
  const request: TlsRequest = {
    caPem: caData,
    certPem: certData,
    keyPem: keyData,
    signal: wait.signal,
    timeoutMs: 5000,
  };
  const url = `https://${joinHostPort(advertiseAddress, bindPort)}/readyz`;
  let seen = '';
  await waitUntil(
    async () => {
      const answer = await probe(url, request);
      seen = answer.seen;
      if (answer.ok) return true;
      if (dataDir && Date.now() - looked > lookMs) {
        looked = Date.now();
        await failWhenFull(host, dataDir, began);
      }
      return false;
    },
    {
      timeoutMs: wait.timeoutMs,
      intervalMs: 50,
      signal: wait.signal,
      failure: () =>
        new KinitError('Timeout', `the API server is not ready after ${Math.round(wait.timeoutMs / 1000)} s`, {
          seen,
          advice:
            'look at: journalctl -u kubelet -n 50; ctr -n k8s.io containers ls; /var/log/pods/kube-system_kube-apiserver-*; then run kinit init again',
        }),
    },
  );
}
