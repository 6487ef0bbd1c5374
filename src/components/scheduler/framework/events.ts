/** Changes in the cluster that can make an unschedulable pod schedulable, and who wants to hear of which. */
import type { KubeObject, Pod } from '../../../machinery/api/types.ts';

export type EventResource =
  /** A pod on a node. */
  | 'AssignedPod'
  /** The waiting pod itself. */
  | 'UnscheduledPod'
  | 'Node'
  | 'PersistentVolume'
  | 'PersistentVolumeClaim'
  | 'StorageClass'
  | 'Namespace';

export type EventAction =
  | 'Add'
  | 'Delete'
  | 'Update'
  | 'UpdateNodeAllocatable'
  | 'UpdateNodeLabel'
  | 'UpdateNodeTaint'
  | 'UpdateNodeCondition'
  | 'UpdatePodLabel'
  | 'UpdatePodScaleDown'
  | 'UpdatePodToleration'
  | 'UpdatePodSchedulingGatesEliminated';

export interface ClusterEvent {
  resource: EventResource;
  /** All that changed; one suffices for a registration to match. */
  actions: readonly EventAction[];
  oldObject?: KubeObject;
  newObject?: KubeObject;
}

/** Whether the event can help this pod. */
export type QueueingHint = (pod: Pod, event: ClusterEvent) => boolean;

export interface EventRegistration {
  resource: EventResource;
  actions: readonly EventAction[];
  hint?: QueueingHint;
}

export function registrationMatches(registration: EventRegistration, event: ClusterEvent, pod: Pod): boolean {
  if (registration.resource !== event.resource) return false;
  if (!event.actions.some((action) => registration.actions.includes(action))) return false;
  return registration.hint?.(pod, event) ?? true;
}
