/** Whether a pod that has been bound to this node may run here, as the scheduler would have judged (upstream's predicate admit handler). */
import { matchesRequiredNodeAffinity } from '../../../machinery/api/node-affinity.ts';
import { podRequests } from '../../../machinery/api/pod-resources.ts';
import {
  addResourceLists,
  quantityMilliValue,
  quantityValue,
  type ResourceQuantities,
} from '../../../machinery/api/quantity.ts';
import type { Node, Pod } from '../../../machinery/api/types.ts';
import { isCriticalPod } from '../pods/resources.ts';
import { isStaticPod } from '../static-pods/defaults.ts';

export interface Refusal {
  /** Reason and message of the pod's Failed status. */
  reason: string;
  message: string;
}

export function createAdmission(options: {
  allocatable: ResourceQuantities;
  node(): Node | undefined;
  /** Those that run here already. */
  pods(): Pod[];
  shuttingDown(): boolean;
}): (pod: Pod) => Refusal | undefined {
  return (pod) => {
    if (options.shuttingDown())
      return { reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' };
    // Static critical pods make up the node; they are never turned away.
    if (isStaticPod(pod) && isCriticalPod(pod)) return undefined;
    const others = options.pods().filter(({ metadata }) => metadata?.uid !== pod.metadata?.uid);
    const lack = insufficient(pod, others, options.allocatable);
    if (lack) return lack;
    const node = options.node();
    if (node && !isStaticPod(pod) && !matchesRequiredNodeAffinity(pod.spec, node))
      return refused(
        'NodeAffinity',
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
      );
    return undefined;
  };
}

const refused = (reason: string, what: string): Refusal => ({ reason, message: `Pod was rejected: ${what}` });

function insufficient(pod: Pod, others: Pod[], allocatable: ResourceQuantities): Refusal | undefined {
  const podLimit = allocatable['pods'];
  const shortage = (name: string, requested: number, used: number, capacity: number) =>
    refused(
      `OutOf${name}`,
      `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
    );
  if (podLimit && others.length + 1 > quantityValue(podLimit))
    return shortage('pods', 1, others.length, quantityValue(podLimit));
  const requests = podRequests(pod);
  if (Object.keys(requests).length === 0) return undefined;
  let used: ResourceQuantities = {};
  for (const other of others) used = addResourceLists(used, podRequests(other));
  for (const [name, wanted] of Object.entries(requests)) {
    const value = name === 'cpu' ? quantityMilliValue : quantityValue;
    const capacity = allocatable[name];
    const taken = used[name];
    if (wanted.nano === 0n) continue;
    const total = capacity ? value(capacity) : 0;
    const before = taken ? value(taken) : 0;
    if (value(wanted) + before > total) return shortage(name, value(wanted), before, total);
  }
  return undefined;
}
