/** Files and folders that must not be there yet. */
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { exists } from '../host/host.ts';
import { timingFile } from '../host/sync-timing.ts';
import { type Check, error, type Finding, isControlPlane, isOwnNode } from './check.ts';

const label = (path: string) => path.replaceAll('/', '-');

/** Leftovers of another cluster. */
export const filesAvailable: Check = async (context) => {
  const { host, command, etcdDataDir, caCertPath } = context;
  if (isOwnNode(context)) return [];
  const findings: Finding[] = [];
  const advice = 'remove it, or run kinit reset after an earlier cluster';
  const controlPlane = isControlPlane(context);
  const files = [
    ...(controlPlane
      ? ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'].map(
          (name) => `${manifestsDir}/${name}.yaml`,
        )
      : []),
    ...(command === 'join' ? [kubeconfigPaths.kubelet, kubeconfigPaths.bootstrapKubelet] : []),
    ...(caCertPath ? [caCertPath] : []),
  ];
  for (const path of files) {
    if (await exists(host, path))
      findings.push(error(`FileAvailable-${label(path)}`, `${path} already exists`, advice));
  }
  for (const path of controlPlane ? [etcdDataDir] : [manifestsDir]) {
    if (path && (await host.list(path)).some((name) => name !== timingFile))
      findings.push(error(`DirAvailable-${label(path)}`, `${path} is not empty`, advice));
  }
  return findings;
};
