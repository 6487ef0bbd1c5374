/** Under pressure pods are ended, one at a time, those first that use most beyond what they asked for (upstream's eviction manager). */
import { podPriority, podRequests } from '../../../machinery/api/pod-resources.ts';
import { formatQuantity, parseQuantity, quantityOf, quantityValue } from '../../../machinery/api/quantity.ts';
import type { Pod } from '../../../machinery/api/types.ts';
import { labels } from '../cri/labels.ts';
import type { ContainerStats } from '../cri/types.ts';
import { isCriticalPod } from '../pods/resources.ts';
import { isStaticPod } from '../static-pods/defaults.ts';
import type { Signals } from './pressure.ts';

const resources: Record<string, 'memory' | 'ephemeral-storage' | 'inodes' | 'pids'> = {
  'memory.available': 'memory',
  'nodefs.available': 'ephemeral-storage',
  'imagefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.inodesFree': 'inodes',
  'pid.available': 'pids',
};

export interface Usage {
  /** Bytes, by container name. */
  memory: Map<string, number>;
  disk: Map<string, number>;
}

/** Pod uid → what its containers use. */
export function usageByPod(stats: ContainerStats[]): Map<string, Usage> {
  const usages = new Map<string, Usage>();
  for (const { attributes, memory, writableLayer } of stats) {
    const uid = attributes.labels[labels.podUid] ?? '';
    const usage = usages.get(uid) ?? { memory: new Map(), disk: new Map() };
    usages.set(uid, usage);
    const { name } = attributes.metadata;
    usage.memory.set(name, memory?.workingSetBytes?.value ?? 0);
    usage.disk.set(name, writableLayer?.usedBytes?.value ?? 0);
  }
  return usages;
}

/** Static and critical pods make up the node. */
export const isEvictable = (pod: Pod): boolean => !isStaticPod(pod) && !isCriticalPod(pod);

/** First the pods that use more than they asked for, then by priority, then by how much more. */
export function rankForEviction(pods: Pod[], usages: Map<string, Usage>, signal: string): Pod[] {
  const resource = resources[signal];
  const excess = (pod: Pod): number => {
    const usage = usages.get(pod.metadata?.uid ?? '');
    const used = sum(resource === 'memory' ? usage?.memory : usage?.disk);
    const requested = podRequests(pod)[resource === 'memory' ? 'memory' : 'ephemeral-storage'];
    return used - (requested ? quantityValue(requested) : 0);
  };
  return pods.filter(isEvictable).sort((a, b) => {
    const [over, overB] = [excess(a) > 0, excess(b) > 0];
    if (over !== overB) return over ? -1 : 1;
    return podPriority(a) - podPriority(b) || excess(b) - excess(a);
  });
}

const sum = (values: Map<string, number> | undefined): number =>
  [...(values?.values() ?? [])].reduce((a, b) => a + b, 0);

/** The message of the Evicted status and event. */
export function evictionMessage(
  pod: Pod,
  usage: Usage | undefined,
  signal: string,
  threshold: string | undefined,
  signals: Signals,
): string {
  const resource = resources[signal] ?? signal;
  const measured = signals[signal];
  const binary = (bytes: number) => formatQuantity(quantityOf(bytes, 'BinarySI'));
  let message = `The node was low on resource: ${resource}.`;
  if (threshold && measured) message += ` Threshold quantity: ${threshold}, available: ${kibi(measured.available)}.`;
  message += ' ';
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return message;
  for (const container of pod.spec?.containers ?? []) {
    const used = (resource === 'memory' ? usage?.memory : usage?.disk)?.get(container.name);
    const request = parseQuantity(container.resources?.requests?.[resource] ?? '0');
    if (used === undefined || used <= quantityValue(request)) continue;
    message += `Container ${container.name} was using ${binary(used)}, request is ${formatQuantity(request)}, has larger consumption of ${resource}. `;
  }
  return message;
}

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;
