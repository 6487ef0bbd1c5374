/**
 * The control groups of pods: `kubepods/<qos>/pod<uid>` (cgroupfs) or `kubepods-<qos>-pod<uid>.slice` (systemd), with the
 * pod's shares and limits. Containers' own groups below them are the runtime's work.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type QosClass, qosClassOf } from '../../../machinery/api/pod-resources.ts';
import type { Pod } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { run } from '../../../machinery/process/run.ts';
import type { LinuxContainerResources } from '../cri/types.ts';
import { sharesToWeight } from './resources.ts';
import { setSlice } from './slices.ts';

export type CgroupDriver = 'cgroupfs' | 'systemd';
const cgroupRoot = '/sys/fs/cgroup';
const qosClasses: QosClass[] = ['Guaranteed', 'Burstable', 'BestEffort'];

export const cgroupVersion = (): 1 | 2 => (existsSync(join(cgroupRoot, 'cgroup.controllers')) ? 2 : 1);

/** The names from the root down, for example `kubepods`, `burstable`, `pod<uid>`. */
function names(uid: string, qos: QosClass, driver: CgroupDriver): string[] {
  const parts = ['kubepods', ...(qos === 'Guaranteed' ? [] : [qos.toLowerCase()]), `pod${uid}`];
  if (driver === 'cgroupfs') return parts;
  // A dash separates levels in names of slices.
  const safe = parts.map((part) => part.replaceAll('-', '_'));
  return safe.map((_, index) => `${safe.slice(0, index + 1).join('-')}.slice`);
}

/** As the runtime is told. */
export function cgroupParent(uid: string, qos: QosClass, driver: CgroupDriver, root = ''): string {
  const path = names(uid, qos, driver);
  return driver === 'systemd' ? (path.at(-1) as string) : `${root.replace(/\/$/, '')}/${path.join('/')}`;
}

export interface PodCgroups {
  parent(pod: Pod): string;
  /** Counts the pod: burstable pods together get the CPU that they asked for together. Safe to repeat. */
  account(pod: Pod, resources: LinuxContainerResources): Promise<void>;
  /** Makes the pod's group and sets its shares and limits. */
  prepare(pod: Pod, resources: LinuxContainerResources): Promise<void>;
  /** Removes the group of a pod that has ended. */
  remove(uid: string): Promise<void>;
}

export function createPodCgroups(options: {
  driver: CgroupDriver;
  root: string;
  version: 1 | 2;
  /** What all pods together may use; absent: what there is. */
  allPods?: LinuxContainerResources | undefined;
  log: Logger;
}): PodCgroups {
  const { driver, version, allPods, log } = options;
  const root = options.root.replace(/^\/|\/$/g, '');

  /** Folders of the group, one per controller that is set here (version 1) or the one (version 2). */
  const folders = (path: string[]): { controller: string; folder: string }[] =>
    version === 2
      ? [{ controller: '', folder: join(cgroupRoot, root, ...path) }]
      : ['cpu', 'memory']
          .filter((controller) => existsSync(join(cgroupRoot, controller)))
          .map((controller) => ({ controller, folder: join(cgroupRoot, controller, root, ...path) }));

  const write = async (folder: string, file: string, value: string | number) => {
    try {
      await writeFile(join(folder, file), String(value));
    } catch (error) {
      // Limits of the pod as a whole come on top of the containers' own; a kernel without the file loses only those.
      log.debug(`cannot write ${value} to ${join(folder, file)}: ${(error as Error).message}`);
    }
  };
  const applyLimits = async (path: string[], resources: LinuxContainerResources) => {
    for (const { controller, folder } of folders(path)) {
      if (!existsSync(folder)) continue;
      const { cpuShares, cpuQuota, cpuPeriod, memoryLimitInBytes } = resources;
      if (version === 2) {
        if (cpuShares) await write(folder, 'cpu.weight', sharesToWeight(cpuShares));
        if (cpuQuota) await write(folder, 'cpu.max', `${cpuQuota} ${cpuPeriod}`);
        if (memoryLimitInBytes) await write(folder, 'memory.max', memoryLimitInBytes);
      } else if (controller === 'cpu') {
        if (cpuShares) await write(folder, 'cpu.shares', cpuShares);
        if (cpuQuota) {
          await write(folder, 'cpu.cfs_period_us', cpuPeriod ?? 100_000);
          await write(folder, 'cpu.cfs_quota_us', cpuQuota);
        }
      } else if (memoryLimitInBytes) await write(folder, 'memory.limit_in_bytes', memoryLimitInBytes);
    }
  };
  const make = async (path: string[]) => {
    for (const { folder } of folders(path)) {
      if (existsSync(folder)) continue;
      if (version === 1) {
        await mkdir(folder, { recursive: true });
        continue;
      }
      let above = join(cgroupRoot, root);
      for (const name of path) {
        // Controllers are handed down level by level.
        for (const controller of ['cpu', 'memory', 'pids', 'cpuset', 'io'])
          await write(above, 'cgroup.subtree_control', `+${controller}`);
        above = join(above, name);
        await mkdir(above, { recursive: true });
      }
    }
  };
  const set = async (path: string[], resources: LinuxContainerResources) => {
    if (driver === 'cgroupfs') {
      await make(path);
      await applyLimits(path, resources);
      return;
    }
    try {
      await setSlice(path.at(-1) as string, resources, version);
    } catch (error) {
      // As above: the runtime makes a slice that is missing, without limits of its own.
      log.warn((error as Error).message);
    }
  };
  let whole: Promise<void> | undefined;
  const setWhole = () => {
    whole ??= allPods ? set(names('', 'Guaranteed', driver).slice(0, 1), allPods) : Promise.resolve();
    return whole;
  };

  /** Uid → CPU shares, of burstable pods. */
  const burstable = new Map<string, number>();
  let burstableShares = 0;
  let applying: Promise<void> | undefined;
  /** Brings the classes' shares up to date; what changes meanwhile is taken along. */
  const applyQos = (): Promise<void> => {
    applying ??= (async () => {
      for (;;) {
        let sum = 0;
        for (const shares of burstable.values()) sum += shares;
        sum = Math.max(2, sum);
        if (sum === burstableShares) return;
        burstableShares = sum;
        await set(names('', 'Burstable', driver).slice(0, 2), { cpuShares: sum });
        await set(names('', 'BestEffort', driver).slice(0, 2), { cpuShares: 2 });
      }
    })().finally(() => {
      applying = undefined;
    });
    return applying;
  };
  const pathOf = (pod: Pod) => names(pod.metadata?.uid as string, qosClassOf(pod), driver);

  return {
    parent: (pod) => cgroupParent(pod.metadata?.uid as string, qosClassOf(pod), driver, options.root),
    async prepare(pod, resources) {
      await setWhole();
      await set(pathOf(pod), resources);
    },
    async account(pod, { cpuShares = 2 }) {
      await setWhole();
      const uid = pod.metadata?.uid ?? '';
      if (qosClassOf(pod) !== 'Burstable' || burstable.get(uid) === cpuShares) return;
      burstable.set(uid, cpuShares);
      await applyQos();
    },
    async remove(uid) {
      if (burstable.delete(uid)) await applyQos();
      for (const qos of qosClasses) {
        const path = names(uid, qos, driver);
        const present = folders(path).some(({ folder }) => existsSync(folder));
        if (!present) continue;
        if (driver === 'systemd') await run('systemctl', ['stop', path.at(-1) as string]);
        else await removeEverywhere(path);
      }
    },
  };

  async function removeEverywhere(path: string[]): Promise<void> {
    // The runtime makes groups in controllers that nothing is set in here.
    const hierarchies =
      version === 2 ? [cgroupRoot] : (await readdir(cgroupRoot)).map((name) => join(cgroupRoot, name));
    for (const hierarchy of hierarchies) {
      const folder = join(hierarchy, root, ...path);
      if (!existsSync(folder)) continue;
      try {
        await removeGroup(folder);
      } catch (error) {
        log.debug(`cannot remove ${folder}: ${(error as Error).message}`);
      }
    }
  }
}

async function removeGroup(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await removeGroup(join(folder, entry.name));
  await rmdir(folder);
}
