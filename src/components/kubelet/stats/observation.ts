/** One look at everything that is measured: the machine, the pods of this node, their containers. */
import type { Pod } from '../../../machinery/api/types.ts';
import { labels } from '../cri/labels.ts';
import type { ContainerStats } from '../cri/types.ts';
import type { KubeletServerOptions } from '../types.ts';
import { type CgroupUsage, cgroupUsage, podCgroups, processOf } from './cgroups.ts';
import {
  cpuNanoseconds,
  type MachineMemory,
  machineMemory,
  type NetworkInterface,
  networkInterfaces,
} from './machine.ts';

export interface ContainerObservation {
  id: string;
  name: string;
  image: string;
  /** When it started, RFC 3339. */
  startTime: string | undefined;
  cgroup: string | undefined;
  usage: CgroupUsage;
  usageNanoCores: number | undefined;
  rootfsBytes: number | undefined;
  rootfsInodes: number | undefined;
}

export interface PodObservation {
  pod: Pod;
  uid: string;
  cgroup: string | undefined;
  usage: CgroupUsage;
  usageNanoCores: number | undefined;
  containers: ContainerObservation[];
  network: NetworkInterface[];
}

export interface Observation {
  time: Date;
  cpuNanoseconds: number;
  cpuNanoCores: number | undefined;
  memory: MachineMemory;
  pods: PodObservation[];
}

type Sources = Pick<KubeletServerOptions, 'view' | 'runtime' | 'podsCgroup'>;

/** Turns counters into rates: against the sample before, when that is at least a second old. */
export function createRates(now: () => number = Date.now) {
  const samples = new Map<string, { counter: number; at: number; rate: number | undefined }>();
  return {
    nanoCores(key: string, counter: number | undefined): number | undefined {
      if (counter === undefined) return undefined;
      const at = now();
      const last = samples.get(key);
      if (last && at - last.at < 1_000) return last.rate;
      const rate =
        last && counter >= last.counter ? Math.round(((counter - last.counter) / (at - last.at)) * 1000) : undefined;
      samples.set(key, { counter, at, rate });
      return rate;
    },
    /** Forgets pods and containers that are gone. */
    keep(keys: Set<string>) {
      for (const key of samples.keys()) if (/^(pod|container)\//.test(key) && !keys.has(key)) samples.delete(key);
    },
  };
}
export type Rates = ReturnType<typeof createRates>;

export async function observe({ view, runtime, podsCgroup }: Sources, rates: Rates): Promise<Observation> {
  const [cpu, memory, stats, groups] = await Promise.all([
    cpuNanoseconds(),
    machineMemory(),
    runtime.listContainerStats(),
    podCgroups(podsCgroup ?? '/kubepods'),
  ]);
  const seen = new Set<string>();
  const statsOf = new Map<string, ContainerStats[]>();
  for (const one of stats) {
    const uid = one.attributes.labels[labels.podUid] ?? '';
    statsOf.set(uid, [...(statsOf.get(uid) ?? []), one]);
  }
  const pods = await Promise.all(
    view
      .pods()
      .filter(({ metadata }) => groups.has(metadata?.uid ?? '') || statsOf.has(metadata?.uid ?? ''))
      .map((pod) => observePod(pod, view, statsOf, groups, rates, seen)),
  );
  const cpuNanoCores = rates.nanoCores('node', cpu);
  rates.keep(seen);
  return { time: new Date(), cpuNanoseconds: cpu, cpuNanoCores, memory, pods };
}

async function observePod(
  pod: Pod,
  view: Sources['view'],
  statsOf: Map<string, ContainerStats[]>,
  groups: Map<string, string>,
  rates: Rates,
  seen: Set<string>,
): Promise<PodObservation> {
  const uid = pod.metadata?.uid ?? '';
  const cgroup = groups.get(uid);
  const usage = cgroup ? await cgroupUsage(cgroup) : {};
  const pid = cgroup && !pod.spec?.hostNetwork ? await processOf(cgroup) : undefined;
  seen.add(`pod/${uid}`);
  const status = view.podStatus(uid) ?? pod.status;
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const containers = await Promise.all(
    newestOfEach(statsOf.get(uid) ?? []).map(async (one): Promise<ContainerObservation> => {
      const { id } = one.attributes;
      const name = one.attributes.labels[labels.containerName] ?? one.attributes.metadata.name;
      const known = statuses.find((candidate) => candidate.name === name);
      const group = cgroup && `${cgroup}/${cgroup.endsWith('.slice') ? `cri-containerd-${id}.scope` : id}`;
      const own = group ? await cgroupUsage(group) : {};
      const merged = { ...own, ...fromRuntime(one) };
      seen.add(`container/${id}`);
      return {
        id,
        name,
        image: known?.image ?? '',
        startTime: known?.state?.running?.startedAt,
        cgroup: group,
        usage: merged,
        usageNanoCores: rates.nanoCores(`container/${id}`, merged.cpuNanoseconds) ?? one.cpu?.usageNanoCores?.value,
        rootfsBytes: one.writableLayer?.usedBytes?.value,
        rootfsInodes: one.writableLayer?.inodesUsed?.value,
      };
    }),
  );
  return {
    pod,
    uid,
    cgroup,
    usage,
    usageNanoCores: rates.nanoCores(`pod/${uid}`, usage.cpuNanoseconds),
    containers,
    network: pid ? await networkInterfaces(pid) : [],
  };
}

/** Runtimes also list what has ended, without usage. */
function newestOfEach(stats: ContainerStats[]): ContainerStats[] {
  const newest = new Map<string, ContainerStats>();
  for (const one of stats) {
    if (!one.cpu?.usageCoreNanoSeconds?.value && !one.memory?.workingSetBytes?.value) continue;
    const { name, attempt } = one.attributes.metadata;
    const before = newest.get(name);
    if (!before || before.attributes.metadata.attempt < attempt) newest.set(name, one);
  }
  return [...newest.values()];
}

function fromRuntime({ cpu, memory }: ContainerStats): CgroupUsage {
  const entries: [keyof CgroupUsage, number | undefined][] = [
    ['cpuNanoseconds', cpu?.usageCoreNanoSeconds?.value],
    ['workingSetBytes', memory?.workingSetBytes?.value],
    ['memoryBytes', memory?.usageBytes?.value],
    ['rssBytes', memory?.rssBytes?.value],
    ['pageFaults', memory?.pageFaults?.value],
    ['majorPageFaults', memory?.majorPageFaults?.value],
  ];
  // Zero is how a runtime leaves out what it does not measure.
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value > 0)) as CgroupUsage;
}
