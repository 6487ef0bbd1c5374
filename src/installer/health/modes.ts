/** Files whose permissions the CIS Kubernetes benchmark limits. */
import {
  defaultCertificatesDir,
  encryptionFile,
  etcdDataDir,
  kubeconfigPaths,
  kubeletPaths,
  manifestsDir,
} from '../config/paths.ts';
import type { Host } from '../host/host.ts';
import type { FileMode } from './types.ts';

const octal = (mode: number) => `0${mode.toString(8)}`;

async function files(host: Host, folder: string, ending: RegExp): Promise<string[]> {
  return (await host.list(folder)).filter((name) => ending.test(name)).map((name) => `${folder}/${name}`);
}

/** Those that others may do more with than they should. */
export async function observeModes(host: Host, isControlPlane: boolean): Promise<FileMode[]> {
  const folders = [defaultCertificatesDir, `${defaultCertificatesDir}/etcd`];
  const keys = (await Promise.all(folders.map((folder) => files(host, folder, /\.key$/)))).flat();
  const manifests = await files(host, manifestsDir, /\.ya?ml$/);
  const limits: [string, number][] = [
    ...Object.values(kubeconfigPaths).map((path): [string, number] => [path, 0o600]),
    ...[...keys, ...manifests, encryptionFile(defaultCertificatesDir)].map((path): [string, number] => [path, 0o600]),
    [kubeletPaths.clientCertificate, 0o600],
    [kubeletPaths.config, 0o600],
    ...(isControlPlane ? [[etcdDataDir, 0o700] as [string, number]] : []),
  ];
  const wrong: FileMode[] = [];
  for (const [path, limit] of limits) {
    const facts = await host.stat(path);
    if (!facts || facts.type === 'symlink' || (facts.mode & ~limit) === 0) continue;
    wrong.push({ path, mode: octal(facts.mode), limit: octal(limit) });
  }
  return wrong;
}
