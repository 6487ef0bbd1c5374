/** The spread constraints of a pod, compiled: its own, or the defaults with the selector of whatever owns the pod. */

import { matchesRequiredNodeAffinity } from '../../../../machinery/api/node-affinity.ts';
import { controllerOf } from '../../../../machinery/api/owners.ts';
import {
  labelSelectorOf,
  type MaybeSelector,
  mapSelector,
  matchesSelector,
} from '../../../../machinery/api/selectors.ts';
import type {
  LabelSelector,
  Node,
  Pod,
  ReplicaSet,
  ReplicationController,
  Service,
  StatefulSet,
} from '../../../../machinery/api/types.ts';
import { replicaSets, replicationControllers, services, statefulSets } from '../../../../machinery/client/resources.ts';
import type { Store } from '../../../../machinery/informer/types.ts';
import type { NodeInfo } from '../../framework/node-info.ts';
import type { PluginContext } from '../../framework/plugin.ts';
import { keepsOut } from '../taint-toleration/taint-toleration.ts';

export const hostnameKey = 'kubernetes.io/hostname';

export interface RawConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelector;
  matchLabelKeys?: string[];
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
}

export interface SpreadConstraint {
  maxSkew: number;
  topologyKey: string;
  selector: MaybeSelector;
  minDomains: number;
  honorAffinity: boolean;
  honorTaints: boolean;
}

/** Used for pods of services and workloads that set no constraint: a mild preference for other nodes and zones. */
export const systemDefaults: readonly RawConstraint[] = [
  { topologyKey: hostnameKey, whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 5 },
];

function compile(raw: RawConstraint, selector: MaybeSelector): SpreadConstraint {
  return {
    maxSkew: raw.maxSkew,
    topologyKey: raw.topologyKey,
    selector,
    minDomains: raw.minDomains ?? 1,
    honorAffinity: (raw.nodeAffinityPolicy ?? 'Honor') === 'Honor',
    honorTaints: raw.nodeTaintsPolicy === 'Honor',
  };
}

/** The pod's own constraints with one answer to `whenUnsatisfiable`; `matchLabelKeys` narrow the selector to the pod's values. */
export function ownConstraints(pod: Pod, whenUnsatisfiable: string): SpreadConstraint[] {
  const labels = pod.metadata?.labels ?? {};
  return (pod.spec?.topologySpreadConstraints ?? [])
    .filter((raw) => raw.whenUnsatisfiable === whenUnsatisfiable)
    .map((raw) => {
      const selector = labelSelectorOf(raw.labelSelector);
      const narrowed = (raw.matchLabelKeys ?? []).flatMap((key) => {
        const value = labels[key];
        return value === undefined ? [] : [{ key, operator: 'In' as const, values: [value] }];
      });
      return compile(raw, selector && [...selector, ...narrowed]);
    });
}

/** Whether pods on the node count for the constraint. */
export function includesNode(constraint: SpreadConstraint, pod: Pod, node: Node): boolean {
  if (constraint.honorAffinity && !matchesRequiredNodeAffinity(pod.spec, node)) return false;
  return !constraint.honorTaints || !keepsOut(node.spec?.taints, pod.spec?.tolerations);
}

export function countMatching(node: NodeInfo, selector: MaybeSelector, namespace: string): number {
  if (!selector) return 0;
  let count = 0;
  for (const { pod } of node.pods.values()) {
    if (pod.metadata?.deletionTimestamp !== undefined || pod.metadata?.namespace !== namespace) continue;
    if (matchesSelector(selector, pod.metadata?.labels)) count += 1;
  }
  return count;
}

export interface DefaultConstraints {
  constraints: readonly RawConstraint[];
  owners: OwnerStores;
}

interface OwnerStores {
  services: Store<Service>;
  replicationControllers: Store<ReplicationController>;
  replicaSets: Store<ReplicaSet>;
  statefulSets: Store<StatefulSet>;
}

export const ownerStores = (context: PluginContext): OwnerStores => ({
  services: context.store(services),
  replicationControllers: context.store(replicationControllers),
  replicaSets: context.store(replicaSets),
  statefulSets: context.store(statefulSets),
});

/** All requirements of the services that select the pod and of the workload that owns it; empty when there is neither. */
export function ownerSelector(pod: Pod, owners: OwnerStores): MaybeSelector {
  const namespace = pod.metadata?.namespace ?? '';
  const found = owners.services
    .list()
    .filter(({ metadata, spec }) => metadata?.namespace === namespace && Object.keys(spec?.selector ?? {}).length > 0)
    .map(({ spec }) => mapSelector(spec?.selector ?? {}))
    .filter((selector) => matchesSelector(selector, pod.metadata?.labels))
    .flat();
  const owner = controllerOf(pod);
  const key = `${namespace}/${owner?.name ?? ''}`;
  switch (owner?.kind) {
    case 'ReplicationController':
      return [...found, ...mapSelector(owners.replicationControllers.get(key)?.spec?.selector ?? {})];
    case 'ReplicaSet':
      return [...found, ...(labelSelectorOf(owners.replicaSets.get(key)?.spec?.selector) ?? [])];
    case 'StatefulSet':
      return [...found, ...(labelSelectorOf(owners.statefulSets.get(key)?.spec?.selector) ?? [])];
    default:
      return found;
  }
}

export function defaultConstraints(
  pod: Pod,
  { constraints, owners }: DefaultConstraints,
  whenUnsatisfiable: string,
): SpreadConstraint[] {
  const wanted = constraints.filter((raw) => raw.whenUnsatisfiable === whenUnsatisfiable);
  if (wanted.length === 0) return [];
  const selector = ownerSelector(pod, owners);
  return selector?.length ? wanted.map((raw) => compile(raw, selector)) : [];
}
