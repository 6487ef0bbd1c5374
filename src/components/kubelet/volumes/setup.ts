/** Makes, renews and removes the volumes of pods. */
import { chmod, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { claimNameOf } from '../../../machinery/api/persistent-volumes.ts';
import type { Pod, Volume } from '../../../machinery/api/types.ts';
import type { VolumeOptions, VolumeSetup } from '../types.ts';
import { writeAtomically } from './atomic-writer.ts';
import { findSources, unmountedText } from './claims.ts';
import { containerMounts } from './container-mounts.ts';
import { makeEmptyDir } from './empty-dir.ts';
import { prepareHostPath } from './host-path.ts';
import { mountLocalVolume, unmountLocalVolumes } from './local-volume.ts';
import { exists, mark } from './marks.ts';
import { unmountBelow } from './mount-table.ts';
import { applyFsGroup } from './ownership.ts';
import { type PersistentSource, podDirectory, podsDirectory, readyFile, volumeDirectory, volumesOf } from './paths.ts';
import { payloadOf } from './payload.ts';

export function createVolumeSetup(options: VolumeOptions): VolumeSetup {
  const { rootDir, objects, nodeName, clusterDomain, nodeAllocatable } = options;
  const inOrder = oneAtATime();

  const setUpVolume = async (pod: Pod, podDir: string, volume: Volume): Promise<void> => {
    const directory = volumeDirectory(podDir, volume);
    if (!directory) {
      const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
      throw new Error(`no volume plugin matched (${kind})`);
    }
    const gid = pod.spec?.securityContext?.fsGroup;
    const ready = readyFile(podDir, volume);
    if (volume.emptyDir) {
      const done = await exists(ready);
      // Memory is gone after a reboot, the mark is not: what is missing is made again.
      if (done && !volume.emptyDir.medium) return;
      await makeEmptyDir(directory, volume.emptyDir, pod, nodeAllocatable());
      if (!done) await applyFsGroup(directory, gid, false);
    } else {
      const payload = await payloadOf(volume, { pod, objects, nodeName, nodeAllocatable: nodeAllocatable() });
      if (!payload) throw new Error('no volume plugin matched');
      const inMemory = !volume.configMap;
      await makeEmptyDir(directory, inMemory ? { medium: 'Memory' } : {}, pod, nodeAllocatable());
      const changed = await writeAtomically(directory, payload, (path) => applyFsGroup(path, gid, true));
      if (changed) await applyFsGroup(directory, gid, true);
    }
    await mark(ready);
  };

  return {
    setUp(pod, { running } = { running: false }) {
      const uid = pod.metadata?.uid ?? '';
      return inOrder(uid, async () => {
        const podDir = podDirectory(rootDir, uid);
        await makePodDirectories(podDir);
        objects.track(pod);
        const { sources, problems: unready } = await findSources(pod, podDir, options);
        const onHost = async (path: string, type = '') => (running ? undefined : prepareHostPath(path, type));
        const setUpPersistent = (source: PersistentSource) =>
          source.kind === 'hostPath' ? onHost(source.path, source.type) : mountLocalVolume(pod, podDir, source);
        // Two volumes of the pod may stand for one claim.
        const begun = new Map<string, Promise<void>>();
        const once = (source: PersistentSource) => {
          const { volumeName } = source;
          const work = begun.get(volumeName) ?? setUpPersistent(source);
          begun.set(volumeName, work);
          return work;
        };
        const outcomes = await Promise.allSettled(
          volumesOf(pod).map(async (volume) => {
            const source = sources[volume.name];
            if (!source && claimNameOf(pod, volume)) return;
            try {
              if (source) await once(source);
              else if (volume.hostPath) await onHost(volume.hostPath.path, volume.hostPath.type);
              else await setUpVolume(pod, podDir, volume);
            } catch (error) {
              const name = source?.volumeName ?? volume.name;
              const text = `MountVolume.SetUp failed for volume "${name}" : ${(error as Error).message}`;
              throw (await hasContent(podDir, volume)) ? new StaleVolume(text) : new Error(text);
            }
          }),
        );
        const problems = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason as Error] : [],
        );
        if (unready.size > 0) problems.push(new Error(unmountedText(unready)));
        const blocking = problems.filter((problem) => !(problem instanceof StaleVolume));
        if (blocking.length > 0) throw new AggregateError(blocking, blocking[0]?.message);
        return problems.map(({ message }) => message);
      });
    },

    mounts(pod, container, podIps, variables = []) {
      const podDir = podDirectory(rootDir, pod.metadata?.uid ?? '');
      return containerMounts(pod, container, { podDir, clusterDomain, podIps, variables });
    },

    tearDown(podUid) {
      return inOrder(podUid, async () => {
        objects.release(podUid);
        const podDir = podDirectory(rootDir, podUid);
        if (!podUid || !(await exists(podDir))) return;
        await unmountBelow(podDir);
        await unmountLocalVolumes(podDir);
        await removeSubPaths(join(podDir, 'volume-subpaths'));
        await rm(podDir, { recursive: true, force: true });
      });
    },

    async podUids() {
      try {
        return await readdir(podsDirectory(rootDir));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
  };
}

/** The volume could not be renewed, but what it had is there. */
class StaleVolume extends Error {}

async function hasContent(podDir: string, volume: Volume): Promise<boolean> {
  const directory = volumeDirectory(podDir, volume);
  return directory !== undefined && !volume.emptyDir && exists(join(directory, '..data'));
}

async function makePodDirectories(podDir: string): Promise<void> {
  for (const path of [podDir, join(podDir, 'volumes'), join(podDir, 'plugins')]) {
    await mkdir(path, { recursive: true, mode: 0o750 });
    await chmod(path, 0o750);
  }
}

/** volume-subpaths/<volume>/<container>/<index>. */
const subPathDepth = 2;

/** Only empty directories and files go: a mount that was overlooked keeps its content. */
async function removeSubPaths(directory: string, depth = 0): Promise<void> {
  if (!(await exists(directory))) return;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.isDirectory()) await rm(path);
    else if (depth === subPathDepth) await rmdir(path);
    else await removeSubPaths(path, depth + 1);
  }
  await rmdir(directory);
}

/** Work on one pod never overlaps. */
function oneAtATime(): <R>(key: string, work: () => Promise<R>) => Promise<R> {
  const last = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const next = before.then(work, work);
    last.set(key, next);
    const forget = () => {
      if (last.get(key) === next) last.delete(key);
    };
    next.then(forget, forget);
    return next;
  };
}
