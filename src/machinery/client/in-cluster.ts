/** How a pod reaches its API server: the service account's token and CA, and the address in the environment. */
import { existsSync } from 'node:fs';
import { loadKubeconfig } from './kubeconfig.ts';
import type { RestConfig } from './types.ts';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';

export function inClusterConfig(env: NodeJS.ProcessEnv = process.env): RestConfig {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port)
    throw new Error(
      'not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; pass --kubeconfig',
    );
  if (!existsSync(`${folder}/token`))
    throw new Error(`not in a cluster: there is no ${folder}/token; pass --kubeconfig`);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    caFile: `${folder}/ca.crt`,
    tokenFile: `${folder}/token`,
  };
}

/** The kubeconfig when one is named, the service account otherwise. */
export async function clientConfig(kubeconfig: string | undefined, userAgent: string): Promise<RestConfig> {
  return { ...(kubeconfig ? await loadKubeconfig(kubeconfig) : inClusterConfig()), userAgent };
}
