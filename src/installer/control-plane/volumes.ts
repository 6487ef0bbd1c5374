/** Host paths that static pods mount, in kubeadm's order and with its names. */
import type { Volume } from '../../machinery/api/types.ts';
import type { HostPathMount } from '../config/types.ts';
import { exists, type Host } from '../host/host.ts';

export interface Mount {
  name: string;
  path: string;
  hostPath?: string;
  readOnly?: boolean;
  type?: string;
}

export interface MountPoint {
  mountPath: string;
  name: string;
  readOnly?: boolean;
}

const certificateFolders: Mount[] = [
  { name: 'etc-ca-certificates', path: '/etc/ca-certificates' },
  { name: 'etc-pki-ca-trust', path: '/etc/pki/ca-trust' },
  { name: 'etc-pki-tls-certs', path: '/etc/pki/tls/certs' },
  { name: 'usr-local-share-ca-certificates', path: '/usr/local/share/ca-certificates' },
  { name: 'usr-share-ca-certificates', path: '/usr/share/ca-certificates' },
];

export const trustStore = '/etc/ssl/certs';

/** The host's trust store, which may be spread over several folders. */
export async function trustStoreMounts(host: Host): Promise<Mount[]> {
  const present: Mount[] = [];
  for (const mount of certificateFolders) if (await exists(host, mount.path)) present.push(mount);
  return [{ name: 'ca-certs', path: trustStore }, ...present].map((mount) => ({
    ...mount,
    readOnly: true,
    type: 'DirectoryOrCreate',
  }));
}

export function extraMounts(extra: readonly HostPathMount[]): Mount[] {
  return extra.map(({ name, hostPath, mountPath, readOnly, pathType }) => ({
    name,
    path: mountPath,
    hostPath,
    readOnly,
    type: pathType,
  }));
}

const byName = (a: Mount, b: Mount) => (a.name < b.name ? -1 : 1);

/** `sort: false` keeps the order of the mounts, as kubeadm does for etcd. */
export function volumeMounts(mounts: readonly Mount[], sort = true): MountPoint[] {
  const list = sort ? [...mounts].sort(byName) : mounts;
  return list.map(({ name, path, readOnly }) => ({ mountPath: path, name, ...(readOnly ? { readOnly } : {}) }));
}

export function volumes(mounts: readonly Mount[]): Volume[] {
  return [...mounts].sort(byName).map(({ name, path, hostPath, type }) => ({
    hostPath: { path: hostPath ?? path, ...(type ? { type } : {}) },
    name,
  }));
}
