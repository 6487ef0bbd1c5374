/** NodeResourcesFit: what a pod requests must be free on the node; emptier (or fuller) nodes score higher. */
import type { Node, Pod } from '../../../../machinery/api/types.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import type { PodInfo } from '../../framework/pod-info.ts';
import { type Amounts, amountsOfTexts, requestsOf } from '../../framework/resources.ts';
import { type Status, unresolvable, unschedulable } from '../../framework/status.ts';
import {
  leastAllocated,
  mostAllocated,
  requestedToCapacity,
  type ShapePoint,
  type WeightedResource,
} from './scorers.ts';

interface FitArgs {
  ignoredResources: ReadonlySet<string>;
  ignoredResourceGroups: ReadonlySet<string>;
}

export interface Shortage {
  reason: string;
  /** More than the node has in all: no pod leaving would help. */
  unresolvable: boolean;
}

/** What is missing on the node, in a fixed order: pods, cpu, memory, ephemeral-storage, others. */
export function shortages(
  requests: Amounts,
  node: NodeInfo,
  { ignoredResources, ignoredResourceGroups }: FitArgs,
): Shortage[] {
  const missing: Shortage[] = [];
  const podLimit = node.allocatable.get('pods') ?? 0;
  if (node.pods.size + 1 > podLimit) missing.push({ reason: 'Too many pods', unresolvable: podLimit === 0 });
  for (const name of orderedNames(requests)) {
    const wanted = requests.get(name) ?? 0;
    if (wanted === 0 || name === 'pods' || ignoredResources.has(name)) continue;
    if (name.includes('/') && ignoredResourceGroups.has(name.slice(0, name.indexOf('/')))) continue;
    const total = node.allocatable.get(name) ?? 0;
    if (wanted > total - (node.requested.get(name) ?? 0))
      missing.push({ reason: `Insufficient ${name}`, unresolvable: wanted > total });
  }
  return missing;
}

const first = ['cpu', 'memory', 'ephemeral-storage'];
const orderedNames = (requests: Amounts): string[] => [
  ...first.filter((name) => requests.has(name)),
  ...[...requests.keys()].filter((name) => !first.includes(name)).sort(),
];

function fitStatus(missing: Shortage[]): Status | undefined {
  if (missing.length === 0) return undefined;
  const reasons = missing.map(({ reason }) => reason);
  return missing.some((shortage) => shortage.unresolvable) ? unresolvable(...reasons) : unschedulable(...reasons);
}

/** Whether the freed pod requested anything that this one waits for. */
const frees = (pod: Pod, freed: Pod): boolean => {
  const gone = requestsOf(freed);
  // A pod also takes one of the node's places for pods.
  return (
    [...requestsOf(pod)].every(([, amount]) => amount === 0) ||
    [...requestsOf(pod).keys()].some((name) => (gone.get(name) ?? 0) > 0) ||
    gone.size === 0
  );
};

/** Whether the pod would fit the empty node. */
export function fitsAllocatable(pod: Pod, node: Node): boolean {
  const allocatable = amountsOfTexts(node.status?.allocatable);
  return [...requestsOf(pod)].every(([name, amount]) => amount <= (allocatable.get(name) ?? 0));
}

interface ScoringStrategy {
  type?: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
  resources?: { name: string; weight?: number }[];
  requestedToCapacityRatio?: { shape?: ShapePoint[] };
}

export const nodeResourcesFit: PluginFactory = (_context, args) => {
  const fitArgs: FitArgs = {
    ignoredResources: new Set(args['ignoredResources'] as string[] | undefined),
    ignoredResourceGroups: new Set(args['ignoredResourceGroups'] as string[] | undefined),
  };
  const strategy = (args['scoringStrategy'] ?? {}) as ScoringStrategy;
  const resources: WeightedResource[] = (strategy.resources ?? [{ name: 'cpu' }, { name: 'memory' }]).map(
    ({ name, weight }) => ({ name, weight: weight ?? 1 }),
  );
  const scorer =
    strategy.type === 'MostAllocated'
      ? mostAllocated
      : strategy.type === 'RequestedToCapacityRatio'
        ? requestedToCapacity(strategy.requestedToCapacityRatio?.shape ?? [])
        : leastAllocated;
  return {
    name: 'NodeResourcesFit',
    filter: (_state, { requests }, node) => fitStatus(shortages(requests, node, fitArgs)),
    score: (_state, info: PodInfo, node) => scorer(info, node, resources),
    events: [
      {
        resource: 'AssignedPod',
        actions: ['Delete', 'UpdatePodScaleDown'],
        hint: (pod, { oldObject }) => frees(pod, oldObject as Pod),
      },
      {
        resource: 'Node',
        actions: ['Add', 'UpdateNodeAllocatable'],
        hint: (pod, { newObject }) => fitsAllocatable(pod, newObject as Node),
      },
      { resource: 'UnscheduledPod', actions: ['UpdatePodScaleDown'] },
    ],
  };
};
