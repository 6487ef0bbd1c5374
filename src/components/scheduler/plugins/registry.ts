/** All plugins, in the order in which they run, with the weights of their scores. */
import type { PluginFactory } from '../framework/plugin.ts';
import { defaultBinder } from './default-binder/default-binder.ts';
import { defaultPreemption } from './default-preemption/default-preemption.ts';
import { imageLocality } from './image-locality/image-locality.ts';
import { interPodAffinity } from './inter-pod-affinity/inter-pod-affinity.ts';
import { nodeAffinity } from './node-affinity/node-affinity.ts';
import { nodeName } from './node-name/node-name.ts';
import { nodePorts } from './node-ports/node-ports.ts';
import { nodeResourcesBalancedAllocation } from './node-resources/balanced-allocation.ts';
import { nodeResourcesFit } from './node-resources/fit.ts';
import { nodeUnschedulable } from './node-unschedulable/node-unschedulable.ts';
import { podTopologySpread } from './pod-topology-spread/pod-topology-spread.ts';
import { prioritySort } from './priority-sort/priority-sort.ts';
import { schedulingGates } from './scheduling-gates/scheduling-gates.ts';
import { taintToleration } from './taint-toleration/taint-toleration.ts';
import { volumeBinding } from './volume-binding/volume-binding.ts';
import { volumeRestrictions } from './volume-restrictions/volume-restrictions.ts';
import { volumeZone } from './volume-zone/volume-zone.ts';

export interface Registration {
  name: string;
  factory: PluginFactory;
  weight: number;
}

export const registry: readonly Registration[] = [
  { name: 'SchedulingGates', factory: schedulingGates, weight: 1 },
  { name: 'PrioritySort', factory: prioritySort, weight: 1 },
  { name: 'NodeUnschedulable', factory: nodeUnschedulable, weight: 1 },
  { name: 'NodeName', factory: nodeName, weight: 1 },
  { name: 'TaintToleration', factory: taintToleration, weight: 3 },
  { name: 'NodeAffinity', factory: nodeAffinity, weight: 2 },
  { name: 'NodePorts', factory: nodePorts, weight: 1 },
  { name: 'NodeResourcesFit', factory: nodeResourcesFit, weight: 1 },
  { name: 'VolumeRestrictions', factory: volumeRestrictions, weight: 1 },
  { name: 'VolumeBinding', factory: volumeBinding, weight: 1 },
  { name: 'VolumeZone', factory: volumeZone, weight: 1 },
  { name: 'PodTopologySpread', factory: podTopologySpread, weight: 2 },
  { name: 'InterPodAffinity', factory: interPodAffinity, weight: 2 },
  { name: 'DefaultPreemption', factory: defaultPreemption, weight: 1 },
  { name: 'NodeResourcesBalancedAllocation', factory: nodeResourcesBalancedAllocation, weight: 1 },
  { name: 'ImageLocality', factory: imageLocality, weight: 1 },
  { name: 'DefaultBinder', factory: defaultBinder, weight: 1 },
];
