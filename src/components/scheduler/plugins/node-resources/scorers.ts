/** How full a node would be with the pod, as a score of 0 to 100. */
import type { NodeInfo } from '../../framework/node-info.ts';
import { maxNodeScore } from '../../framework/plugin.ts';
import type { PodInfo } from '../../framework/pod-info.ts';

export interface WeightedResource {
  name: string;
  weight: number;
}

/** A point of the function of RequestedToCapacityRatio: `utilization` in percent, `score` 0 to 10. */
export interface ShapePoint {
  utilization: number;
  score: number;
}

export type ResourceScorer = (info: PodInfo, node: NodeInfo, resources: readonly WeightedResource[]) => number;

/** Requested (with the pod) and allocatable amounts; undefined when the node does not have the resource. */
function usage(info: PodInfo, node: NodeInfo, name: string): { requested: number; allocatable: number } | undefined {
  const allocatable = node.allocatable.get(name) ?? 0;
  const scalar = name !== 'cpu' && name !== 'memory';
  const wanted = (scalar ? info.requests : info.assumedRequests).get(name) ?? 0;
  // A pod that does not ask for an extended resource is not scored by it.
  if (allocatable === 0 || (scalar && wanted === 0)) return undefined;
  const used = (scalar ? node.requested : node.assumedRequested).get(name) ?? 0;
  return { requested: used + wanted, allocatable };
}

function weighted(score: (requested: number, allocatable: number) => number): ResourceScorer {
  return (info, node, resources) => {
    let sum = 0;
    let weights = 0;
    for (const { name, weight } of resources) {
      const found = usage(info, node, name);
      if (!found) continue;
      sum += score(found.requested, found.allocatable) * weight;
      weights += weight;
    }
    return weights === 0 ? 0 : Math.floor(sum / weights);
  };
}

export const leastAllocated = weighted((requested, allocatable) =>
  requested > allocatable ? 0 : Math.floor(((allocatable - requested) * maxNodeScore) / allocatable),
);

export const mostAllocated = weighted((requested, allocatable) =>
  Math.floor((Math.min(requested, allocatable) * maxNodeScore) / allocatable),
);

export function requestedToCapacity(shape: readonly ShapePoint[]): ResourceScorer {
  const points =
    shape.length > 0
      ? shape
      : [
          { utilization: 0, score: 0 },
          { utilization: 100, score: 10 },
        ];
  return weighted((requested, allocatable) =>
    Math.round(interpolate(points, requested > allocatable ? 100 : Math.floor((requested * 100) / allocatable)) * 10),
  );
}

function interpolate(points: readonly ShapePoint[], at: number): number {
  let left = points[0] as ShapePoint;
  if (at <= left.utilization) return left.score;
  for (const right of points.slice(1)) {
    if (at <= right.utilization) {
      const share = (at - left.utilization) / (right.utilization - left.utilization);
      return left.score + (right.score - left.score) * share;
    }
    left = right;
  }
  return left.score;
}

/** The smaller the difference between the shares of the resources in use, the higher. */
export const balancedAllocation: ResourceScorer = (info, node, resources) => {
  const shares: number[] = [];
  for (const { name } of resources) {
    const allocatable = node.allocatable.get(name) ?? 0;
    const wanted = info.requests.get(name) ?? 0;
    if (allocatable === 0 || (name !== 'cpu' && name !== 'memory' && wanted === 0)) continue;
    shares.push(Math.min(1, ((node.requested.get(name) ?? 0) + wanted) / allocatable));
  }
  if (shares.length === 0) return maxNodeScore;
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const deviation =
    shares.length === 2
      ? Math.abs((shares[0] as number) - (shares[1] as number)) / 2
      : Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length);
  return Math.floor((1 - deviation) * maxNodeScore);
};
