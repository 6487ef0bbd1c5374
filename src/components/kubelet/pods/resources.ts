/** Requests and limits → what the kernel is told: CPU shares and quota, memory limit, OOM score. */

import { isSidecar, podLimits, podPriority, podRequests, qosClassOf } from '../../../machinery/api/pod-resources.ts';
import {
  parseQuantity,
  type Quantity,
  quantityMilliValue,
  quantityValue,
  tryParseQuantity,
} from '../../../machinery/api/quantity.ts';
import type { Container, Pod } from '../../../machinery/api/types.ts';
import type { LinuxContainerResources } from '../cri/types.ts';

const minShares = 2;
const maxShares = 262_144;
const minQuota = 1000;
const guaranteedOomScore = -997;
const bestEffortOomScore = 1000;
/** Priority of system-cluster-critical: such pods are killed last. */
const criticalPriority = 2_000_000_000;

export const milliCpuToShares = (milliCpu: number): number =>
  milliCpu === 0 ? minShares : Math.min(maxShares, Math.max(minShares, Math.floor((milliCpu * 1024) / 1000)));

export const milliCpuToQuota = (milliCpu: number, periodUs: number): number =>
  milliCpu === 0 ? 0 : Math.max(minQuota, Math.floor((milliCpu * periodUs) / 1000));

export interface ResourceSettings {
  /** Limits on CPU are enforced. */
  cpuQuota: boolean;
  cpuPeriodMs: number;
  memoryCapacity: number;
  cgroupVersion: 1 | 2;
}

export const isCriticalPod = (pod: Pod): boolean =>
  podPriority(pod) >= criticalPriority ||
  ['system-node-critical', 'system-cluster-critical'].includes(pod.spec?.priorityClassName ?? '');

/** -1000 (never killed) to 1000 (first): the less a pod asked for, the earlier it goes. */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacity: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical' || podPriority(pod) >= criticalPriority + 1000)
    return guaranteedOomScore;
  const qos = qosClassOf(pod);
  if (qos === 'Guaranteed') return guaranteedOomScore;
  if (qos === 'BestEffort') return bestEffortOomScore;
  const scoreOf = (one: Container) => {
    const request = tryParseQuantity(one.resources?.requests?.['memory'] ?? '0');
    const score = Math.floor(1000 - (1000 * (request ? quantityValue(request) : 0)) / memoryCapacity);
    // Always killed before guaranteed pods, and after those without any request.
    if (score < 1000 + guaranteedOomScore) return 1000 + guaranteedOomScore;
    return score === bestEffortOomScore ? score - 1 : score;
  };
  const own = scoreOf(container);
  // A sidecar is not to go before what it serves.
  return isSidecar(container) ? Math.min(own, ...(pod.spec?.containers ?? []).map(scoreOf)) : own;
}

export function containerResources(
  pod: Pod,
  container: Container,
  settings: ResourceSettings,
): LinuxContainerResources {
  const { requests, limits } = container.resources ?? {};
  const periodUs = settings.cpuPeriodMs * 1000;
  const milli = (text: string | undefined) => (text === undefined ? 0 : quantityMilliValue(parseQuantity(text)));
  const cpuLimit = milli(limits?.['cpu']);
  const cpuRequest = requests?.['cpu'] === undefined ? cpuLimit : milli(requests['cpu']);
  const memory = limits?.['memory'] === undefined ? 0 : quantityValue(parseQuantity(limits['memory']));
  const hugepages = Object.entries(limits ?? {})
    .filter(([name]) => name.startsWith('hugepages-'))
    .map(([name, value]) => ({
      pageSize: `${name.slice(10).replace(/i$/, '')}B`,
      limit: quantityValue(parseQuantity(value)),
    }));
  return {
    cpuShares: milliCpuToShares(cpuRequest),
    oomScoreAdj: oomScoreAdj(pod, container, settings.memoryCapacity),
    ...(cpuLimit && settings.cpuQuota ? { cpuPeriod: periodUs, cpuQuota: milliCpuToQuota(cpuLimit, periodUs) } : {}),
    ...(memory ? { memoryLimitInBytes: memory } : {}),
    ...(hugepages.length ? { hugepageLimits: hugepages } : {}),
    // All processes of a container go together when it runs out of memory.
    ...(settings.cgroupVersion === 2 ? { unified: { 'memory.oom.group': '1' } } : {}),
  };
}

/** Of the pod as a whole: for its cgroup. Limits only where every container has one. */
export function podCgroupResources(pod: Pod, settings: ResourceSettings): LinuxContainerResources {
  const periodUs = settings.cpuPeriodMs * 1000;
  const requests = podRequests(pod);
  const limits = podLimits(pod);
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const podLevel = pod.spec?.resources?.limits;
  const limited = (name: 'cpu' | 'memory') =>
    podLevel?.[name] !== undefined || containers.every(({ resources }) => resources?.limits?.[name] !== undefined);
  const cpuLimit = limits['cpu'] ? quantityMilliValue(limits['cpu']) : 0;
  const cpuRequest = requests['cpu'] ? quantityMilliValue(requests['cpu']) : 0;
  const qos = qosClassOf(pod);
  return {
    cpuShares: qos === 'BestEffort' ? minShares : milliCpuToShares(cpuRequest),
    ...(limited('cpu') && cpuLimit && settings.cpuQuota
      ? { cpuPeriod: periodUs, cpuQuota: milliCpuToQuota(cpuLimit, periodUs) }
      : {}),
    ...(limited('memory') && limits['memory'] ? { memoryLimitInBytes: quantityValue(limits['memory']) } : {}),
  };
}

/** What all pods of a node together may use. Eviction acts before that, so what it keeps free is theirs too. */
export function nodeResources(allocatable: Record<string, Quantity>): LinuxContainerResources {
  const { cpu, memory } = allocatable;
  return {
    ...(cpu ? { cpuShares: milliCpuToShares(quantityMilliValue(cpu)) } : {}),
    ...(memory ? { memoryLimitInBytes: quantityValue(memory) } : {}),
  };
}

/** 2…262144 of version 1 → 1…10000 of version 2. */
export const sharesToWeight = (shares: number): number => 1 + Math.floor(((shares - 2) * 9999) / 262_142);
