/** Files whose permissions the CIS Kubernetes benchmark limits. */
import {
  defaultCertificatesDir,
  encryptionFile,
  etcdDataDir,
  kubeconfigPaths,
  kubeletPaths,
  manifestsDir,
} from '../config/paths.ts';
import { ownedPaths, presentManifests, wrongOwners } from '../control-plane/owners.ts';
import type { Host } from '../host/host.ts';
import type { FileMode, FileOwner } from './types.ts';

const octal = (mode: number) => `0${mode.toString(8)}`;

/** What a component of the control plane could not read or write. */
export async function observeOwners(host: Host): Promise<FileOwner[]> {
  const wrong: FileOwner[] = [];
  for (const manifest of await presentManifests(host))
    for (const { path, component, uid, gid, mode, seen } of await wrongOwners(host, manifest))
      wrong.push({ path, component, seen, wanted: `${uid}:${gid} ${octal(mode)}` });
  return wrong;
}

async function files(host: Host, folder: string, ending: RegExp): Promise<string[]> {
  return (await host.list(folder)).filter((name) => ending.test(name)).map((name) => `${folder}/${name}`);
}

/** Those that others may do more with than they should. */
export async function observeModes(host: Host): Promise<FileMode[]> {
  // Keys that components read as members of a group.
  const shared = (await presentManifests(host)).flatMap(ownedPaths).filter(({ mode }) => mode === 0o640);
  const folders = [defaultCertificatesDir, `${defaultCertificatesDir}/etcd`];
  const keys = (await Promise.all(folders.map((folder) => files(host, folder, /\.key$/)))).flat();
  const manifests = await files(host, manifestsDir, /\.ya?ml$/);
  const hasEtcd = manifests.includes(`${manifestsDir}/etcd.yaml`);
  const limits: [string, number][] = [
    ...Object.values(kubeconfigPaths).map((path): [string, number] => [path, 0o600]),
    ...[...keys, ...manifests, encryptionFile(defaultCertificatesDir)].map((path): [string, number] => [path, 0o600]),
    [kubeletPaths.clientCertificate, 0o600],
    [kubeletPaths.config, 0o600],
    ...(hasEtcd ? [[etcdDataDir, 0o700] as [string, number]] : []),
  ];
  const wrong: FileMode[] = [];
  for (const [path, most] of limits) {
    const facts = await host.stat(path);
    const limit = shared.some((file) => file.path === path && file.gid === facts?.gid) ? 0o640 : most;
    if (!facts || facts.type === 'symlink' || (facts.mode & ~limit) === 0) continue;
    wrong.push({ path, mode: octal(facts.mode), limit: octal(limit) });
  }
  return wrong;
}
