/** Persistent volumes of type local: a directory of this node, bound into the pod's directory. */
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../../machinery/api/types.ts';
import { exists, mark } from './marks.ts';
import { bindMount, isMounted, mountRefs, remountBind, unmount } from './mount-table.ts';
import { applyFsGroup, belongsToGroup } from './ownership.ts';
import { localVolumeDirectory, localVolumeReadyFile, localVolumesDirectory, type PersistentSource } from './paths.ts';

export async function mountLocalVolume(
  pod: Pod,
  podDir: string,
  { path, volumeName, mountReadOnly = false, mountOptions = [] }: PersistentSource,
): Promise<void> {
  const target = localVolumeDirectory(podDir, volumeName);
  const ready = localVolumeReadyFile(podDir, volumeName);
  if (await isMounted(target)) {
    if (await exists(ready)) return;
    // This process ended in the middle of the last attempt.
    await unmount(target);
  }
  await rm(ready, { force: true });
  if (path.split('/').includes('..')) throw new Error(`invalid path: ${path} must not contain '..'`);
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error(`path "${path}" does not exist`) : error;
  });
  if (!stats.isDirectory()) throw new Error(`path "${path}" is not a directory; block devices are not mounted`);
  // The files are given to the group once, not under the eyes of another pod that has them already.
  const isFirst = (await mountRefs(path)).length === 0;
  await mkdir(target, { recursive: true, mode: 0o750 });
  await bindMount(path, target);
  const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
  const kept = fsGroupChangePolicy === 'OnRootMismatch' && (await belongsToGroup(target, fsGroup));
  if (!mountReadOnly && isFirst && !kept) await applyFsGroup(target, fsGroup, false);
  const flags = [...mountOptions, ...(mountReadOnly ? ['ro'] : [])];
  if (flags.length > 0) await remountBind(target, flags);
  await mark(ready);
}

/** Only mounts and empty directories go: whatever went wrong before, the data behind a mount stays. */
export async function unmountLocalVolumes(podDir: string): Promise<void> {
  const directory = localVolumesDirectory(podDir);
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return [];
  });
  for (const name of names) {
    await unmount(join(directory, name));
    await rmdir(join(directory, name));
  }
}
