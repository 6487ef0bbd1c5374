/** Copies of what an upgrade replaces on a host, and putting them back. */
import { balancerPaths, containerdPaths, kubeletPaths, manifestsDir, virtualIpUnitPath } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import type { Host } from '../host/host.ts';
import type { SavedFile, UpgradeState } from './state.ts';

/** In the order in which they are upgraded. */
export const staticPodNames = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type StaticPodName = (typeof staticPodNames)[number];

export const manifestPath = (name: StaticPodName): string => `${manifestsDir}/${name}.yaml`;

/** What belongs to a node as such; manifests of the control plane come beside it. */
const nodeFiles = [
  kubeletPaths.config,
  kubeletPaths.instanceConfig,
  kubeletPaths.flags,
  kubeletPaths.unit,
  kubeletPaths.dropIn,
  containerdPaths.config,
  containerdPaths.unit,
  containerdPaths.crictl,
  balancerPaths.unit,
  virtualIpUnitPath,
];

/** Of a manifest by its own name, as kubeadm keeps it; of others with their path. */
export const copyOf = (backup: string, path: string): string =>
  path.startsWith(`${manifestsDir}/`) ? `${backup}/${path.slice(manifestsDir.length + 1)}` : `${backup}/host${path}`;

/** Copies the files as they are now; the folder belongs to /etc/kubernetes, which reset takes away. */
export async function saveCopies(changes: Changes, backup: string): Promise<SavedFile[]> {
  const { host } = changes;
  await changes.folder(backup, 0o700);
  const saved: SavedFile[] = [];
  for (const path of [...staticPodNames.map(manifestPath), ...nodeFiles]) {
    const facts = await host.stat(path);
    const content = facts?.type === 'file' ? await host.readFile(path) : undefined;
    if (!facts || !content) {
      saved.push({ path });
      continue;
    }
    await changes.file(copyOf(backup, path), content, { mode: 0o600 });
    saved.push({ path, mode: facts.mode });
  }
  return saved;
}

/** Puts the chosen files back. @returns those that were different */
export async function restoreCopies(
  host: Host,
  { backup, saved }: UpgradeState,
  chosen: (path: string) => boolean,
): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, mode } of saved.filter((file) => chosen(file.path))) {
    if (mode === undefined) {
      if (!(await host.stat(path))) continue;
      await host.remove(path);
      changed.push(path);
      continue;
    }
    const copy = await host.readFile(copyOf(backup, path));
    if (!copy) throw new KinitError('Command', `the copy of ${path} is gone from ${backup}`);
    const now = await host.stat(path);
    if (now?.mode === mode && (await host.readFile(path))?.equals(copy)) continue;
    await host.writeFile(path, copy, { mode });
    changed.push(path);
  }
  return changed;
}

export const isManifest = (path: string): boolean => path.startsWith(`${manifestsDir}/`);
