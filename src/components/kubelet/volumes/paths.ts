/** Where a pod's things are on the host: upstream's layout under /var/lib/kubelet/pods/<uid>. */
import { join } from 'node:path';
import type { Pod, Volume } from '../../../machinery/api/types.ts';

const plugins: [keyof Volume, string][] = [
  ['emptyDir', 'kubernetes.io~empty-dir'],
  ['configMap', 'kubernetes.io~configmap'],
  ['secret', 'kubernetes.io~secret'],
  ['downwardAPI', 'kubernetes.io~downward-api'],
  ['projected', 'kubernetes.io~projected'],
];

/** A persistent volume that this kubelet knows how to mount, as a volume of a pod. */
export interface PersistentSource {
  /** Of the PersistentVolume. */
  volumeName: string;
  claimName: string;
  kind: 'hostPath' | 'local';
  path: string;
  /** Of a hostPath: the check to make. */
  type?: string;
  /** For containers. */
  readOnly: boolean;
  /** For the mount in the pod's directory. */
  mountReadOnly?: boolean;
  /** Of a local volume. */
  mountOptions?: string[];
}

export const podsDirectory = (rootDir: string): string => join(rootDir, 'pods');
export const podDirectory = (rootDir: string, podUid: string): string => join(podsDirectory(rootDir), podUid);

/** undefined: a kind of volume that has no directory, or none that this kubelet knows. */
export function volumeDirectory(podDir: string, volume: Volume): string | undefined {
  const plugin = pluginOf(volume);
  return plugin && join(podDir, 'volumes', plugin, volume.name);
}

/** Exists once the volume was made in full. */
export const readyFile = (podDir: string, volume: Volume): string =>
  join(podDir, 'plugins', pluginOf(volume) ?? 'unknown', volume.name, 'ready');

/** Where the volume's content is on the host. */
export const volumePath = (podDir: string, volume: Volume): string | undefined =>
  volume.hostPath ? volume.hostPath.path : volumeDirectory(podDir, volume);

export const localVolumesDirectory = (podDir: string): string => join(podDir, 'volumes', 'kubernetes.io~local-volume');
export const localVolumeDirectory = (podDir: string, volumeName: string): string =>
  join(localVolumesDirectory(podDir), volumeName);

export const localVolumeReadyFile = (podDir: string, volumeName: string): string =>
  join(podDir, 'plugins', 'kubernetes.io~local-volume', volumeName, 'ready');

/** Where the content of a claim's volume is on the host. */
export const persistentPath = (podDir: string, { kind, path, volumeName }: PersistentSource): string =>
  kind === 'hostPath' ? path : localVolumeDirectory(podDir, volumeName);

export const pluginOf = (volume: Volume): string | undefined => plugins.find(([kind]) => volume[kind])?.[1];

export const containerDirectory = (podDir: string, containerName: string): string =>
  join(podDir, 'containers', containerName);

export const subPathTarget = (podDir: string, volumeName: string, containerName: string, index: number): string =>
  join(podDir, 'volume-subpaths', volumeName, containerName, String(index));

export const volumesOf = (pod: Pod): Volume[] => pod.spec?.volumes ?? [];
