/** After the kubelet has rotated its client certificate, its kubeconfig points to the file that it keeps up to date. */
import { kubeletPaths } from '../config/paths.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { formatKubeconfig, parseKubeconfig } from './kubeconfig.ts';

export async function useRotatedCertificate(changes: Changes, path: string): Promise<boolean> {
  const text = await readText(changes.host, path);
  if (text === undefined) return false;
  const config = parseKubeconfig(text, path);
  for (const entry of config.users) {
    entry.user = {
      'client-certificate': kubeletPaths.clientCertificate,
      'client-key': kubeletPaths.clientCertificate,
    };
  }
  return changes.file(path, formatKubeconfig(config), { mode: 0o600 });
}
