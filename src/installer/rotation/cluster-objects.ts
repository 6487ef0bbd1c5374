/** Where the cluster itself says whom to believe: cluster-info, the ConfigMaps of pods and of servers, tokens in Secrets. */
import type { ConfigMap, Secret } from '../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../machinery/client/errors.ts';
import { configMaps, namespaces, secrets } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';
import { formatKubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';

const waitMs = 120_000;

/** With it, hosts that join learn the authorities; its signatures are made anew by the controller manager. */
export async function updateClusterInfo(client: Client, caPem: string, signal: AbortSignal): Promise<boolean> {
  const maps = client.resource(configMaps);
  const found = await maps.find({ name: 'cluster-info', namespace: 'kube-public' }, { signal });
  const text = found?.data?.['kubeconfig'];
  if (!found || text === undefined) return false;
  const config = parseKubeconfig(text, 'cluster-info');
  for (const { cluster } of config.clusters)
    cluster['certificate-authority-data'] = Buffer.from(caPem).toString('base64');
  const kubeconfig = formatKubeconfig(config);
  if (kubeconfig === text) return false;
  await maps.update({ ...found, data: { ...found.data, kubeconfig } }, { signal });
  return true;
}

export interface Believed {
  ca: string;
  frontProxy: string;
}

/**
 * API servers add to what servers believe and take away only what has expired, as upstream's do; an authority that is to be believed
 * no more is taken away here.
 */
export async function dropFromAuthentication(
  client: Client,
  believed: Believed,
  signal: AbortSignal,
): Promise<boolean> {
  const maps = client.resource(configMaps);
  const found = await maps.find({ name: 'extension-apiserver-authentication', namespace: 'kube-system' }, { signal });
  if (!found) return false;
  const data = { ...found.data };
  if (data['client-ca-file'] !== undefined) data['client-ca-file'] = believed.ca;
  if (data['requestheader-client-ca-file'] !== undefined) data['requestheader-client-ca-file'] = believed.frontProxy;
  if (Object.entries(data).every(([key, value]) => found.data?.[key] === value)) return false;
  await maps.update({ ...found, data }, { signal });
  return true;
}

/** Every namespace's kube-root-ca.crt; the controller manager writes them. */
export async function waitForRootCertificates(client: Client, caPem: string, signal: AbortSignal): Promise<void> {
  let seen = '';
  await waitUntil(
    async () => {
      try {
        const living = (await client.resource(namespaces).list({ signal })).items.filter(
          ({ status }) => status?.phase !== 'Terminating',
        );
        const maps = await client
          .resource(configMaps)
          .list({ fieldSelector: 'metadata.name=kube-root-ca.crt', signal });
        const old = living.flatMap(({ metadata }) => {
          const map = maps.items.find((one: ConfigMap) => one.metadata?.namespace === metadata?.name);
          return map?.data?.['ca.crt'] === caPem ? [] : [metadata?.name ?? ''];
        });
        seen = old.length ? `not yet in ${old.join(', ')}` : '';
      } catch (error) {
        signal.throwIfAborted();
        seen = error instanceof Error ? error.message : String(error);
      }
      return seen === '';
    },
    {
      timeoutMs: waitMs,
      intervalMs: 500,
      signal,
      failure: () =>
        new KinitError('Timeout', 'the ConfigMaps kube-root-ca.crt do not hold the new bundle', {
          seen,
          advice: 'look at the logs of the controller managers; then run the same command again',
        }),
    },
  );
}

/** Tokens without an end, in Secrets: the controller manager makes those anew that are missing. @returns their names */
export async function renewTokenSecrets(client: Client, tokenKey: string, signal: AbortSignal): Promise<string[]> {
  const resource = client.resource(secrets);
  const fieldSelector = 'type=kubernetes.io/service-account-token';
  const renewed: string[] = [];
  for (const secret of (await resource.list({ fieldSelector, signal })).items) {
    if (!isOld(secret, tokenKey)) continue;
    const { token: _, ...data } = secret.data ?? {};
    try {
      await resource.update({ ...secret, data }, { signal });
      renewed.push(`${secret.metadata?.namespace}/${secret.metadata?.name}`);
    } catch (error) {
      // Somebody was faster: gone, or changed and looked at in the next run.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
  return renewed;
}

function isOld({ data }: Secret, tokenKey: string): boolean {
  const [header = ''] = Buffer.from(data?.['token'] ?? '', 'base64')
    .toString()
    .split('.');
  return header !== '' && !Buffer.from(header, 'base64url').toString().includes(JSON.stringify(tokenKey));
}
