/** The status of ReplicaSets and ReplicationControllers, counted from their pods. */
import { findCondition, withoutCondition } from '../../../../machinery/api/conditions.ts';
import { mapSelector, matchesSelector } from '../../../../machinery/api/selectors.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Pod, PodTemplateSpec, ReplicaSet } from '../../../../machinery/api/types.ts';
import { isAvailable, isReady } from '../pods/state.ts';

export type ReplicaStatus = NonNullable<ReplicaSet['status']>;

/** What both kinds have in common. */
export interface ReplicaSpec {
  replicas?: number;
  minReadySeconds?: number;
  template?: PodTemplateSpec;
}

export interface Observation {
  spec: ReplicaSpec | undefined;
  old: ReplicaStatus | undefined;
  generation: number | undefined;
  active: Pod[];
  /** Undefined where the kind does not report it. */
  terminating: number | undefined;
  /** Why pods could not be created or deleted. */
  failure: Error | undefined;
}

export function replicaStatus(seen: Observation, message: (error: Error) => string, now = Date.now()): ReplicaStatus {
  const { spec, old, active, terminating, failure } = seen;
  const templateLabels = mapSelector(spec?.template?.metadata?.labels ?? {});
  const count = (test: (pod: Pod) => boolean): number => active.reduce((sum, pod) => sum + (test(pod) ? 1 : 0), 0);
  const labelled = count((pod) => matchesSelector(templateLabels, pod.metadata?.labels));
  const ready = count(isReady);
  const available = count((pod) => isAvailable(pod, spec?.minReadySeconds, now));
  const conditions = failureConditions(seen, failure && message(failure), now);
  return {
    ...(conditions.length ? { conditions } : {}),
    replicas: active.length,
    ...(labelled ? { fullyLabeledReplicas: labelled } : {}),
    ...(ready ? { readyReplicas: ready } : {}),
    ...(available ? { availableReplicas: available } : {}),
    ...(terminating === undefined ? {} : { terminatingReplicas: terminating }),
    ...(old?.observedGeneration ? { observedGeneration: old.observedGeneration } : {}),
  };
}

function failureConditions({ spec, old, active }: Observation, failure: string | undefined, now: number) {
  const type = 'ReplicaFailure';
  if (failure === undefined) return withoutCondition(old?.conditions, type);
  const difference = active.length - (spec?.replicas ?? 1);
  if (findCondition(old?.conditions, type)) return old?.conditions ?? [];
  const reason = difference < 0 ? 'FailedCreate' : 'FailedDelete';
  return [
    ...(old?.conditions ?? []),
    { type, status: 'True', lastTransitionTime: formatTime(new Date(now)), reason, message: failure },
  ];
}
