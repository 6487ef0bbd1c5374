/** The arithmetic of rolling updates and scaling: how many replicas each ReplicaSet of a Deployment should have. */
import { scaledValue } from '../../../../machinery/api/int-or-string.ts';
import type { Deployment, ReplicaSet } from '../../../../machinery/api/types.ts';
import {
  byCreation,
  created,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  nameOf,
  sizeAnnotation,
} from './revisions.ts';

export interface Scaling {
  set: ReplicaSet;
  replicas: number;
}

export const replicasOf = ({ spec }: { spec?: { replicas?: number } }): number => spec?.replicas ?? 1;
const availableOf = ({ status }: ReplicaSet): number => status?.availableReplicas ?? 0;
export const totalReplicas = (sets: ReplicaSet[]): number => sets.reduce((sum, set) => sum + replicasOf(set), 0);
const totalAvailable = (sets: ReplicaSet[]): number => sets.reduce((sum, set) => sum + availableOf(set), 0);
export const activeSets = (sets: ReplicaSet[]): ReplicaSet[] => sets.filter((set) => replicasOf(set) > 0);

export const isRolling = ({ spec }: Deployment): boolean => spec?.strategy?.type !== 'Recreate';

function fenceposts(deployment: Deployment): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const desired = replicasOf(deployment);
  const surge = scaledValue(maxSurge, desired, 'up');
  const unavailable = scaledValue(maxUnavailable, desired, 'down');
  // Neither one more nor one less would be no progress at all.
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export const maxSurge = (deployment: Deployment): number => (isRolling(deployment) ? fenceposts(deployment).surge : 0);

export function maxUnavailable(deployment: Deployment): number {
  if (!isRolling(deployment)) return 0;
  return Math.min(fenceposts(deployment).unavailable, replicasOf(deployment));
}

/** How many replicas the current set may have now, given what all sets have together. */
export function currentSetReplicas(deployment: Deployment, allSets: ReplicaSet[], currentReplicas: number): number {
  const desired = replicasOf(deployment);
  if (!isRolling(deployment)) return desired;
  const room = desired + maxSurge(deployment) - totalReplicas(allSets);
  if (room <= 0) return currentReplicas;
  return currentReplicas + Math.min(room, desired - currentReplicas);
}

/** How old sets shrink: broken replicas first, then as many as can go without falling below the minimum available. */
export function shrinkOldSets(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  oldSets: ReplicaSet[],
): Scaling[] {
  const all = current ? [...oldSets, current] : oldSets;
  const minimum = replicasOf(deployment) - maxUnavailable(deployment);
  const currentUnavailable = current ? replicasOf(current) - availableOf(current) : 0;
  const most = totalReplicas(all) - minimum - currentUnavailable;
  if (totalReplicas(oldSets) === 0 || most <= 0) return [];
  const sizes = new Map(oldSets.map((set) => [set, replicasOf(set)]));
  const sorted = [...oldSets].sort(byCreation);
  let cleaned = 0;
  for (const set of sorted) {
    const down = Math.min(most - cleaned, Math.max(0, replicasOf(set) - availableOf(set)));
    if (down <= 0) continue;
    sizes.set(set, replicasOf(set) - down);
    cleaned += down;
  }
  let spare = totalAvailable(all) - minimum;
  for (const set of sorted) {
    const size = sizes.get(set) ?? 0;
    const down = Math.min(size, spare);
    if (down <= 0) continue;
    sizes.set(set, size - down);
    spare -= down;
  }
  return changed(sizes);
}

const changed = (sizes: Map<ReplicaSet, number>): Scaling[] =>
  [...sizes].filter(([set, replicas]) => replicas !== replicasOf(set)).map(([set, replicas]) => ({ set, replicas }));

/** Whether somebody changed the Deployment's size since its sets were last scaled. */
export const wasResized = (deployment: Deployment, sets: ReplicaSet[]): boolean =>
  activeSets(sets).some((set) => {
    const desired = sizeAnnotation(set, desiredReplicasAnnotation);
    return desired !== undefined && desired !== replicasOf(deployment);
  });

/** The only set with replicas, or the latest when none has; undefined when there are several. */
function activeOrLatest(current: ReplicaSet | undefined, oldSets: ReplicaSet[]): ReplicaSet | undefined {
  const active = activeSets(current ? [...oldSets, current] : oldSets);
  if (active.length > 1) return undefined;
  return active[0] ?? current ?? [...oldSets].sort(byCreation).at(-1);
}

const isSaturated = (deployment: Deployment, set: ReplicaSet | undefined): boolean => {
  const desired = replicasOf(deployment);
  return (
    set !== undefined &&
    replicasOf(set) === desired &&
    sizeAnnotation(set, desiredReplicasAnnotation) === desired &&
    availableOf(set) === desired
  );
};

/** Sizes after the Deployment itself was scaled (or while it is paused): in proportion, rounding rests to the largest. */
export function proportionalSizes(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  oldSets: ReplicaSet[],
): Scaling[] {
  const only = activeOrLatest(current, oldSets);
  if (only) return replicasOf(only) === replicasOf(deployment) ? [] : [{ set: only, replicas: replicasOf(deployment) }];
  if (isSaturated(deployment, current)) return activeSets(oldSets).map((set) => ({ set, replicas: 0 }));
  if (!isRolling(deployment)) return [];
  const sets = activeSets(current ? [...oldSets, current] : oldSets);
  const desired = replicasOf(deployment);
  const toAdd = (desired > 0 ? desired + maxSurge(deployment) : 0) - totalReplicas(sets);
  const newer = toAdd > 0 ? -1 : 1;
  sets.sort(
    (a, b) => replicasOf(b) - replicasOf(a) || newer * (created(a) - created(b) || (nameOf(a) < nameOf(b) ? -1 : 1)),
  );
  let added = 0;
  const sizes = sets.map((set) => {
    const share = proportion(deployment, set, toAdd, added);
    added += share;
    return { set, replicas: replicasOf(set) + share };
  });
  const [first] = sizes;
  if (first && toAdd !== 0) first.replicas = Math.max(0, first.replicas + toAdd - added);
  return sizes;
}

function proportion(deployment: Deployment, set: ReplicaSet, toAdd: number, added: number): number {
  const size = replicasOf(set);
  if (size === 0 || toAdd === 0 || toAdd === added) return 0;
  const share = fraction(deployment, set, size);
  return toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
}

function fraction(deployment: Deployment, set: ReplicaSet, size: number): number {
  const desired = replicasOf(deployment);
  if (desired === 0) return -size;
  const before = sizeAnnotation(set, maxReplicasAnnotation) || deployment.status?.replicas || 1;
  return Math.round((size * (desired + maxSurge(deployment))) / before) - size;
}
