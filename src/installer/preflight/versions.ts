/** Versions that have to fit each other: this kinit, and what is in the unpacked bundle. */
import { kubernetesVersion } from '../../machinery/version.ts';
import { bundlePaths } from '../config/paths.ts';
import { readText } from '../host/host.ts';
import { type Check, error, type Finding } from './check.ts';

/** `v1.36.2` as numbers. */
export function versionNumbers(version: string): [number, number, number] | undefined {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** The kubelet may be as old as three minor versions, never newer than the API server. */
export function kubeletSkew(kubelet: string, apiServer: string): Finding[] {
  const own = versionNumbers(kubelet);
  const server = versionNumbers(apiServer);
  if (!own || !server) return [];
  const newer = own[0] > server[0] || (own[0] === server[0] && own[1] > server[1]);
  const tooOld = own[0] === server[0] && server[1] - own[1] > 3;
  if (!newer && !tooOld) return [];
  const message = newer
    ? `the kubelet version is higher than the control plane version: kubelet ${kubelet}, control plane ${apiServer}`
    : `the kubelet ${kubelet} is more than three minor versions older than the control plane ${apiServer}`;
  const advice = newer ? 'join with the bundle that the cluster was made with' : 'join with a newer bundle';
  return [error('KubeletVersion', message, advice)];
}

/** What kubeadm compares with its own version, kinit compares with its bundle. */
export const versions: Check = async ({ host }) => {
  const text = await readText(host, `${bundlePaths.current}/manifest.json`);
  if (text === undefined) return [];
  const { kubernetes } = JSON.parse(text) as { kubernetes?: string };
  if (kubernetes === undefined || kubernetes === kubernetesVersion) return [];
  const message = `the unpacked bundle is of Kubernetes ${kubernetes}, this kinit of ${kubernetesVersion}`;
  return [error('KubernetesVersion', message, `run ${bundlePaths.bin}/kinit, or unpack this kinit's bundle`)];
};
