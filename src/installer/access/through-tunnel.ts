/** `kinit kubectl --inventory`: kubectl on this machine, the cluster behind SSH. */
import type { InventorySource } from '../fleet/on-control-plane.ts';
import { checkTunnelWords, findKubectl, runKubectl } from './kubectl.ts';
import { temporaryKubeconfig } from './temporary-kubeconfig.ts';
import { openTunnel } from './tunnel.ts';

export interface ThroughTunnelOptions {
  source: InventorySource;
  /** kubectl's own words. */
  words: readonly string[];
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
  notice(message: string): void;
}

/** @returns kubectl's exit code */
export async function kubectlThroughTunnel({
  source,
  words,
  signal,
  env,
  notice,
}: ThroughTunnelOptions): Promise<number> {
  checkTunnelWords(words);
  const kubectl = await findKubectl(env);
  const tunnel = await openTunnel({ source, signal, notice });
  try {
    const kubeconfig = await temporaryKubeconfig(tunnel.kubeconfig);
    try {
      // Its cache is by address and port, and the port is another one each time.
      const cache = env['KUBECACHEDIR'] ?? kubeconfig.folder;
      return await runKubectl(kubectl, words, { ...env, KUBECONFIG: kubeconfig.path, KUBECACHEDIR: cache });
    } finally {
      kubeconfig.remove();
    }
  } finally {
    await tunnel.close();
  }
}
