/** How much the volumes and logs of a pod hold; counted anew at most once a minute. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../../machinery/api/types.ts';
import { knownSources } from '../volumes/claims.ts';
import { podDirectory, volumeDirectory, volumesOf } from '../volumes/paths.ts';
import { type FileSystem, fileSystem } from './machine.ts';

export interface DiskUsage {
  usedBytes: number;
  inodesUsed: number;
}

export type VolumeUsage = FileSystem & { name: string; pvcRef?: { name: string; namespace: string } };

const ageMs = 60_000;
const blockBytes = 512;

export function createVolumeUsage(rootDir: string, now: () => number = Date.now) {
  const known = new Map<string, { at: number; volumes: VolumeUsage[] }>();
  return {
    async of(pod: Pod): Promise<VolumeUsage[]> {
      const uid = pod.metadata?.uid ?? '';
      const before = known.get(uid);
      if (before && now() - before.at < ageMs) return before.volumes;
      const volumes: VolumeUsage[] = [];
      const podDir = podDirectory(rootDir, uid);
      const persistent = await knownSources(podDir);
      for (const volume of volumesOf(pod)) {
        const source = persistent[volume.name];
        const directory = source?.kind === 'local' ? source.path : volumeDirectory(podDir, volume);
        if (!directory) continue;
        try {
          const whole = await fileSystem(directory);
          if (source) {
            // Of its file system as a whole: the data may be large, and is not the pod's alone.
            const pvcRef = { name: source.claimName, namespace: pod.metadata?.namespace ?? '' };
            volumes.push({ ...whole, name: volume.name, pvcRef });
            continue;
          }
          const own = await diskUsage(directory);
          volumes.push({ ...whole, ...own, name: volume.name });
        } catch (error) {
          // Not yet made, or already gone.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
      known.set(uid, { at: now(), volumes });
      return volumes;
    },
    keep(uids: Set<string>) {
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid);
    },
  };
}

/** Never follows links, never leaves the file system. */
export async function diskUsage(path: string): Promise<DiskUsage> {
  const top = await lstat(path);
  const usage: DiskUsage = { usedBytes: 0, inodesUsed: 0 };
  const walk = async (at: string): Promise<void> => {
    const facts = await lstat(at);
    if (facts.dev !== top.dev) return;
    usage.usedBytes += facts.blocks * blockBytes;
    usage.inodesUsed += 1;
    if (!facts.isDirectory()) return;
    for (const name of await readdir(at)) {
      await walk(join(at, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
  };
  await walk(path);
  return usage;
}
