/** What the server asks to measure: summary, resource metrics, container metrics; several askers at once share one look. */
import { readFileSync } from 'node:fs';
import { availableParallelism, release, uptime } from 'node:os';
import { join } from 'node:path';
import type { KubeletServerOptions } from '../types.ts';
import { type CgroupUsage, cgroupUsage, text } from './cgroups.ts';
import { cadvisorMetrics, resourceMetrics } from './exposition.ts';
import { type FileSystem, fileSystem, goTime, networkInterfaces, processLimits } from './machine.ts';
import { createRates, type Observation, observe } from './observation.ts';
import { summaryOf } from './summary.ts';
import { createVolumeUsage, type DiskUsage, diskUsage } from './volume-usage.ts';

export interface Measurements {
  summary(onlyCpuAndMemory: boolean): Promise<object>;
  resourceMetrics(): Promise<string>;
  cadvisorMetrics(): Promise<string>;
}

type Options = Pick<KubeletServerOptions, 'view' | 'runtime' | 'podsCgroup' | 'rootDir' | 'podLogsDir' | 'onError'>;

export function createMeasurements(options: Options): Measurements {
  const rates = createRates();
  const volumeUsage = createVolumeUsage(options.rootDir);
  const bootTime = goTime(new Date(Date.now() - uptime() * 1000));
  let looking: Promise<Observation> | undefined;
  const look = (): Promise<Observation> => {
    looking ??= observe(options, rates).finally(() => {
      looking = undefined;
    });
    return looking;
  };

  return {
    async summary(onlyCpuAndMemory) {
      const observation = await look();
      const [nodeFs, network, rlimit, system] = await Promise.all([
        fileSystem(options.rootDir),
        networkInterfaces('self'),
        processLimits(),
        systemUsage(options.podsCgroup ?? '/kubepods'),
      ]);
      const volumes = new Map();
      const logs = new Map<string, DiskUsage>();
      if (!onlyCpuAndMemory) {
        for (const { pod, uid, containers } of observation.pods) {
          volumes.set(uid, await volumeUsage.of(pod));
          const { namespace, name } = pod.metadata ?? {};
          for (const container of containers)
            logs.set(
              `${uid}/${container.name}`,
              await logUsage(join(options.podLogsDir, `${namespace}_${name}_${uid}`, container.name)),
            );
        }
        volumeUsage.keep(new Set(observation.pods.map(({ uid }) => uid)));
      }
      return summaryOf({
        observation,
        nodeName: options.view.nodeName,
        bootTime,
        nodeFs,
        imageFs: onlyCpuAndMemory ? nodeFs : await imageFileSystem(options, nodeFs),
        network,
        defaultInterface: await defaultInterface(),
        rlimit,
        system: system.map(({ name, usage }) => {
          const rate = rates.nanoCores(`system/${name}`, usage.cpuNanoseconds);
          return { name, usage, ...(rate === undefined ? {} : { usageNanoCores: rate }) };
        }),
        volumes,
        logs,
        onlyCpuAndMemory,
      });
    },
    resourceMetrics: async () => resourceMetrics(await look()),
    cadvisorMetrics: async () =>
      cadvisorMetrics(await look(), {
        cores: availableParallelism(),
        kernelVersion: release(),
        osVersion: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '',
      }),
  };
}

/** The kubelet itself, and all pods together. */
async function systemUsage(podsCgroup: string): Promise<{ name: string; usage: CgroupUsage }[]> {
  const { user, system } = process.cpuUsage();
  const { rss } = process.memoryUsage();
  const own: CgroupUsage = {
    cpuNanoseconds: (user + system) * 1000,
    memoryBytes: rss,
    workingSetBytes: rss,
    rssBytes: rss,
  };
  return [
    { name: 'kubelet', usage: own },
    { name: 'pods', usage: await cgroupUsage(podsCgroup) },
  ];
}

async function logUsage(directory: string): Promise<DiskUsage> {
  try {
    return await diskUsage(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { usedBytes: 0, inodesUsed: 0 };
    throw error;
  }
}

async function imageFileSystem({ runtime, onError }: Options, nodeFs: FileSystem): Promise<FileSystem> {
  try {
    const [first] = (await runtime.imageFsInfo()).imageFilesystems;
    if (!first?.fsId) return nodeFs;
    const whole = await fileSystem(first.fsId.mountpoint);
    return {
      ...whole,
      usedBytes: first.usedBytes?.value ?? whole.usedBytes,
      inodesUsed: first.inodesUsed?.value ?? whole.inodesUsed,
    };
  } catch (error) {
    onError?.(`cannot measure the file system of images: ${(error as Error).message}`);
    return nodeFs;
  }
}

/** The interface that the default route uses. */
async function defaultInterface(): Promise<string> {
  const routes = ((await text('/proc/net/route')) ?? '').split('\n').slice(1);
  return routes.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000')?.[0] ?? '';
}
