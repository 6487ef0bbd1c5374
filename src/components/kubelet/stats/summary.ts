/** /stats/summary: the observation in the shape of the stats API (v1alpha1). */
import type { CgroupUsage } from './cgroups.ts';
import { type FileSystem, goTime, type NetworkInterface } from './machine.ts';
import type { ContainerObservation, Observation, PodObservation } from './observation.ts';
import type { DiskUsage, VolumeUsage } from './volume-usage.ts';

export interface SummaryInput {
  observation: Observation;
  nodeName: string;
  bootTime: string;
  nodeFs: FileSystem;
  imageFs: FileSystem;
  /** The machine's own interfaces. */
  network: NetworkInterface[];
  defaultInterface: string;
  rlimit: object;
  system: { name: string; usage: CgroupUsage; usageNanoCores?: number }[];
  volumes: Map<string, VolumeUsage[]>;
  /** `<pod uid>/<container>` → its log files. */
  logs: Map<string, DiskUsage>;
  onlyCpuAndMemory: boolean;
}

export function summaryOf(input: SummaryInput): object {
  const { observation, onlyCpuAndMemory: brief } = input;
  const time = goTime(observation.time);
  const { memory } = observation;
  return {
    node: {
      nodeName: input.nodeName,
      systemContainers: input.system.map(({ name, usage, usageNanoCores }) => ({
        name,
        startTime: input.bootTime,
        cpu: cpu(time, usage.cpuNanoseconds, usageNanoCores),
        memory: memoryOf(time, usage),
      })),
      startTime: input.bootTime,
      cpu: cpu(time, observation.cpuNanoseconds, observation.cpuNanoCores),
      memory: {
        time,
        availableBytes: memory.availableBytes,
        usageBytes: memory.usageBytes,
        workingSetBytes: memory.workingSetBytes,
        rssBytes: memory.rssBytes,
        pageFaults: memory.pageFaults,
        majorPageFaults: memory.majorPageFaults,
      },
      ...(brief
        ? {}
        : {
            network: networkOf(time, input.network, input.defaultInterface),
            fs: input.nodeFs,
            runtime: { imageFs: input.imageFs, containerFs: input.imageFs },
            rlimit: input.rlimit,
          }),
      swap: {
        time,
        swapAvailableBytes: memory.swapFreeBytes,
        swapUsageBytes: memory.swapTotalBytes - memory.swapFreeBytes,
      },
    },
    pods: observation.pods.map((pod) => podSummary(pod, time, input)),
  };
}

function podSummary(observed: PodObservation, time: string, input: SummaryInput): object {
  const { pod, uid, containers, usage, network } = observed;
  const volumes = input.volumes.get(uid) ?? [];
  const brief = input.onlyCpuAndMemory;
  const whole = Object.keys(usage).length > 0 ? usage : sumOf(containers.map((container) => container.usage));
  return {
    podRef: { name: pod.metadata?.name, namespace: pod.metadata?.namespace, uid },
    startTime: pod.status?.startTime ?? pod.metadata?.creationTimestamp,
    containers: containers.map((container) => containerSummary(container, uid, time, input)),
    cpu: cpu(time, whole.cpuNanoseconds, observed.usageNanoCores),
    memory: memoryOf(time, whole),
    ...(brief
      ? {}
      : {
          ...(network.length > 0 ? { network: networkOf(time, network, 'eth0') } : {}),
          ...(volumes.length > 0 ? { volume: volumes } : {}),
          'ephemeral-storage': { ...input.nodeFs, time, ...ephemeral(observed, volumes, input) },
          ...(whole.processes === undefined ? {} : { process_stats: { process_count: whole.processes } }),
        }),
    swap: { time, swapUsageBytes: whole.swapBytes ?? 0 },
  };
}

function containerSummary(container: ContainerObservation, uid: string, time: string, input: SummaryInput): object {
  const logs = input.logs.get(`${uid}/${container.name}`) ?? { usedBytes: 0, inodesUsed: 0 };
  return {
    name: container.name,
    ...(container.startTime ? { startTime: container.startTime } : {}),
    cpu: cpu(time, container.usage.cpuNanoseconds, container.usageNanoCores),
    memory: memoryOf(time, container.usage),
    ...(input.onlyCpuAndMemory
      ? {}
      : {
          rootfs: {
            ...input.imageFs,
            time,
            usedBytes: container.rootfsBytes ?? 0,
            inodesUsed: container.rootfsInodes ?? 0,
          },
          logs: { ...input.nodeFs, time, ...logs },
        }),
    swap: { time, swapUsageBytes: container.usage.swapBytes ?? 0 },
  };
}

/** What counts against a pod's ephemeral storage: writable layers, logs, volumes on disk. */
function ephemeral({ pod, uid, containers }: PodObservation, volumes: VolumeUsage[], input: SummaryInput): DiskUsage {
  const onDisk = new Set(
    (pod.spec?.volumes ?? [])
      .filter((volume) => volume.configMap || (volume.emptyDir && !volume.emptyDir.medium))
      .map(({ name }) => name),
  );
  const parts: DiskUsage[] = [
    ...volumes.filter(({ name }) => onDisk.has(name)),
    ...containers.map(({ rootfsBytes = 0, rootfsInodes = 0 }) => ({
      usedBytes: rootfsBytes,
      inodesUsed: rootfsInodes,
    })),
    ...containers.flatMap(({ name }) => input.logs.get(`${uid}/${name}`) ?? []),
  ];
  return {
    usedBytes: parts.reduce((sum, part) => sum + part.usedBytes, 0),
    inodesUsed: parts.reduce((sum, part) => sum + part.inodesUsed, 0),
  };
}

const cpu = (time: string, total: number | undefined, rate: number | undefined): object => ({
  time,
  ...(rate === undefined ? {} : { usageNanoCores: rate }),
  ...(total === undefined ? {} : { usageCoreNanoSeconds: total }),
});

const memoryOf = (time: string, usage: CgroupUsage): object => ({
  time,
  ...(usage.memoryLimitBytes === undefined
    ? {}
    : { availableBytes: Math.max(0, usage.memoryLimitBytes - (usage.workingSetBytes ?? 0)) }),
  ...(usage.memoryBytes === undefined ? {} : { usageBytes: usage.memoryBytes }),
  ...(usage.workingSetBytes === undefined ? {} : { workingSetBytes: usage.workingSetBytes }),
  ...(usage.rssBytes === undefined ? {} : { rssBytes: usage.rssBytes }),
  ...(usage.pageFaults === undefined ? {} : { pageFaults: usage.pageFaults }),
  ...(usage.majorPageFaults === undefined ? {} : { majorPageFaults: usage.majorPageFaults }),
});

function networkOf(time: string, all: NetworkInterface[], main: string): object {
  const shown = all.map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    name,
    rxBytes,
    rxErrors,
    txBytes,
    txErrors,
  }));
  return { time, ...(shown.find(({ name }) => name === main) ?? shown[0]), interfaces: shown };
}

function sumOf(all: CgroupUsage[]): CgroupUsage {
  const sum: CgroupUsage = {};
  for (const usage of all)
    for (const [key, value] of Object.entries(usage) as [keyof CgroupUsage, number][])
      sum[key] = (sum[key] ?? 0) + value;
  return sum;
}
