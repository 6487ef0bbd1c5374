/** Files and folders that must not be there yet. */
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { exists, type Host } from '../host/host.ts';
import { timingFile } from '../host/sync-timing.ts';
import { type Check, error, type Finding, isControlPlane, isOwnNode } from './check.ts';

const label = (path: string) => path.replaceAll('/', '-');
const advice = 'remove it, or run kinit reset after an earlier cluster';

/** Leftovers of another cluster. */
export const filesAvailable: Check = async (context) => {
  const { host, command, caCertPath } = context;
  if (isOwnNode(context)) return [];
  const findings: Finding[] = [];
  const files = [
    ...(isControlPlane(context)
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
  const folder = isControlPlane(context) ? etcdFolder(context) : folderAvailable(host, manifestsDir);
  return [...findings, ...(await folder)];
};

async function folderAvailable(host: Host, path: string): Promise<Finding[]> {
  if (!(await host.list(path)).some((name) => name !== timingFile)) return [];
  return [error(`DirAvailable-${label(path)}`, `${path} is not empty`, advice)];
}

export const etcdFolder: Check = async (context) => {
  const { host, etcdDataDir } = context;
  return etcdDataDir && !isOwnNode(context) ? folderAvailable(host, etcdDataDir) : [];
};
