/** In which order, and with how much time each, pods end when the machine shuts down (KEP-2000, KEP-2712). */
import { isObject } from '../../../machinery/api/json.ts';
import { podPriority } from '../../../machinery/api/pod-resources.ts';
import type { Pod } from '../../../machinery/api/types.ts';
import type { Configuration } from '../config/settings.ts';

/** Pods of this priority and above, up to the next group's, have this long together. */
export interface ShutdownGroup {
  priority: number;
  seconds: number;
}

const systemCritical = 2_000_000_000;

type ShutdownSettings = Pick<
  Configuration,
  'shutdownGracePeriod' | 'shutdownGracePeriodCriticalPods' | 'shutdownGracePeriodByPodPriority'
>;

/** Lowest priority first, that is, in the order in which they end. Empty: pods are not ended at a shutdown. Throws for settings that contradict each other. */
export function shutdownGroups(settings: ShutdownSettings): ShutdownGroup[] {
  const { shutdownGracePeriod: wholeMs, shutdownGracePeriodCriticalPods: criticalMs } = settings;
  const given = settings.shutdownGracePeriodByPodPriority;
  const byPriority = Array.isArray(given) ? given.map(groupOf) : [];
  if (byPriority.length) {
    if (wholeMs || criticalMs)
      throw new Error(
        'invalid configuration: Cannot specify both shutdownGracePeriodByPodPriority and shutdownGracePeriod at the same time',
      );
    return byPriority.sort((a, b) => a.priority - b.priority);
  }
  if (criticalMs > wholeMs)
    throw new Error(
      `invalid configuration: shutdownGracePeriodCriticalPods ${criticalMs / 1000}s must be <= shutdownGracePeriod ${wholeMs / 1000}s`,
    );
  for (const [name, ms] of Object.entries({
    shutdownGracePeriod: wholeMs,
    shutdownGracePeriodCriticalPods: criticalMs,
  }))
    if (ms < 0 || (ms > 0 && ms < 1000))
      throw new Error(`invalid configuration: ${name} ${ms / 1000}s must be either zero or otherwise >= 1 sec`);
  if (wholeMs === 0) return [];
  return [
    { priority: 0, seconds: Math.floor((wholeMs - criticalMs) / 1000) },
    { priority: systemCritical, seconds: Math.floor(criticalMs / 1000) },
  ];
}

function groupOf(entry: unknown): ShutdownGroup {
  const { priority, shutdownGracePeriodSeconds: seconds } = isObject(entry) ? entry : {};
  if (!Number.isInteger(priority) || !Number.isInteger(seconds) || Number(seconds) < 0)
    throw new Error(
      `invalid configuration: shutdownGracePeriodByPodPriority has ${JSON.stringify(entry)}, not {priority: <integer>, shutdownGracePeriodSeconds: <integer>}`,
    );
  return { priority: Number(priority), seconds: Number(seconds) };
}

export const wholeSeconds = (groups: readonly ShutdownGroup[]): number =>
  groups.reduce((sum, { seconds }) => sum + seconds, 0);

/** Each group with its pods; a pod below the lowest group's priority ends with that group. Groups without pods are left out. */
export function podsByGroup<T extends { pod: Pod }>(
  groups: readonly ShutdownGroup[],
  items: readonly T[],
): { group: ShutdownGroup; items: T[] }[] {
  const indexOf = ({ pod }: T) =>
    Math.max(
      groups.findLastIndex(({ priority }) => priority <= podPriority(pod)),
      0,
    );
  return groups
    .map((group, index) => ({ group, items: items.filter((item) => indexOf(item) === index) }))
    .filter((each) => each.items.length > 0);
}
