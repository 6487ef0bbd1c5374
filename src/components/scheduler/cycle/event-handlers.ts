/** Brings what the informers tell into the cache and the queue, as events that plugins know. */
import type { KubeObject, Node, Pod } from '../../../machinery/api/types.ts';
import type { Informer } from '../../../machinery/informer/types.ts';
import type { SchedulerCache } from '../cache/cache.ts';
import type { EventAction, EventResource } from '../framework/events.ts';
import type { Nominations } from '../framework/plugin.ts';
import { isAssigned, isTerminating, podInfoOf, schedulerNameOf } from '../framework/pod-info.ts';
import { requestsOf } from '../framework/resources.ts';
import type { SchedulingQueue } from '../queue/queue.ts';

const differs = (a: unknown, b: unknown): boolean => a !== b && JSON.stringify(a) !== JSON.stringify(b);

/** What of a node changed that scheduling looks at. */
export function nodeActions(before: Node, after: Node): EventAction[] {
  const actions: EventAction[] = [];
  if (differs(before.status?.allocatable, after.status?.allocatable)) actions.push('UpdateNodeAllocatable');
  if (differs(before.metadata?.labels, after.metadata?.labels)) actions.push('UpdateNodeLabel');
  if (
    differs(before.spec?.taints, after.spec?.taints) ||
    Boolean(before.spec?.unschedulable) !== Boolean(after.spec?.unschedulable)
  )
    actions.push('UpdateNodeTaint');
  const states = ({ status }: Node) => (status?.conditions ?? []).map((c) => `${c.type}=${c.status}`);
  if (differs(states(before), states(after))) actions.push('UpdateNodeCondition');
  return actions;
}

export function podActions(before: Pod, after: Pod): EventAction[] {
  const actions: EventAction[] = [];
  if (differs(before.metadata?.labels, after.metadata?.labels)) actions.push('UpdatePodLabel');
  if (differs(before.spec?.tolerations, after.spec?.tolerations)) actions.push('UpdatePodToleration');
  if (before.spec?.schedulingGates?.length && !after.spec?.schedulingGates?.length)
    actions.push('UpdatePodSchedulingGatesEliminated');
  if (before.spec !== after.spec) {
    const wanted = requestsOf(after);
    const less = [...requestsOf(before)].some(([name, amount]) => (wanted.get(name) ?? 0) < amount);
    if (less) actions.push('UpdatePodScaleDown');
  }
  return actions;
}

export interface HandlerParts {
  cache: SchedulerCache;
  queue: SchedulingQueue;
  nominations: Nominations;
  /** Whether pods that name this scheduler are ours. */
  isOurs(schedulerName: string): boolean;
}

export function handlePods(informer: Informer<Pod>, { cache, queue, nominations, isOurs }: HandlerParts): void {
  const waits = (pod: Pod) => !isAssigned(pod) && isOurs(schedulerNameOf(pod));
  const arrived = (pod: Pod) => {
    cache.setPod(pod);
    queue.notice({ resource: 'AssignedPod', actions: ['Add'], newObject: pod });
  };
  const gone = (pod: Pod) => {
    if (isAssigned(pod)) {
      cache.removePod(pod);
      queue.notice({ resource: 'AssignedPod', actions: ['Delete'], oldObject: pod });
      return;
    }
    const info = podInfoOf(pod);
    queue.remove(info);
    nominations.remove(info);
  };
  const added = (pod: Pod) => {
    if (isAssigned(pod)) arrived(pod);
    else if (waits(pod)) {
      const info = podInfoOf(pod);
      if (pod.status?.nominatedNodeName) nominations.add(info, pod.status.nominatedNodeName);
      if (!isTerminating(pod)) queue.add(info);
    }
  };
  informer.addHandler({
    onAdd: added,
    onUpdate(before, after) {
      if (before.metadata?.uid !== after.metadata?.uid) {
        gone(before);
        added(after);
        return;
      }
      if (isAssigned(after)) {
        if (!isAssigned(before)) {
          const info = podInfoOf(after);
          queue.remove(info);
          nominations.remove(info);
          arrived(after);
          return;
        }
        cache.setPod(after);
        const actions = podActions(before, after);
        if (actions.length > 0) queue.notice({ resource: 'AssignedPod', actions, oldObject: before, newObject: after });
        return;
      }
      if (!waits(after) || cache.isAssumed(after)) return;
      if (isTerminating(after)) {
        queue.remove(podInfoOf(after));
        return;
      }
      const actions = podActions(before, after);
      queue.update(podInfoOf(after), { resource: 'UnscheduledPod', actions, oldObject: before, newObject: after });
    },
    onDelete: gone,
  });
}

export function handleNodes(informer: Informer<Node>, { cache, queue }: HandlerParts): void {
  informer.addHandler({
    onAdd(node) {
      cache.setNode(node);
      queue.notice({ resource: 'Node', actions: ['Add'], newObject: node });
    },
    onUpdate(before, after) {
      cache.setNode(after);
      const actions = nodeActions(before, after);
      if (actions.length > 0) queue.notice({ resource: 'Node', actions, oldObject: before, newObject: after });
    },
    onDelete(node) {
      cache.removeNode(node.metadata?.name ?? '');
      queue.notice({ resource: 'Node', actions: ['Delete'], oldObject: node });
    },
  });
}

/** Kinds of which any change may matter. */
export function handleOthers<T extends KubeObject>(
  informer: Informer<T>,
  resource: EventResource,
  queue: SchedulingQueue,
): void {
  informer.addHandler({
    onAdd: (newObject) => queue.notice({ resource, actions: ['Add'], newObject }),
    onUpdate: (oldObject, newObject) => queue.notice({ resource, actions: ['Update'], oldObject, newObject }),
    onDelete: (oldObject) => queue.notice({ resource, actions: ['Delete'], oldObject }),
  });
}
