/** DefaultPreemption: makes room for a pod of higher priority by deleting less important ones. */
import { withCondition } from '../../../../machinery/api/conditions.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { podDisruptionBudgets, pods } from '../../../../machinery/client/resources.ts';
import { fitMessage } from '../../cycle/fit-error.ts';
import type { Diagnosis, PluginContext, PluginFactory, PostFilterResult } from '../../framework/plugin.ts';
import { isTerminating, type PodInfo } from '../../framework/pod-info.ts';
import { isRejection, type Status, unresolvable } from '../../framework/status.ts';
import { type Candidate, leastHarm, victimsOn } from './victims.ts';

const unhelpful = unresolvable('Preemption is not helpful for scheduling');
const mostCandidates = 100;

/** Why the pod may not preempt others, if so. */
function ineligible({ pod, priority }: PodInfo, context: PluginContext, diagnosis: Diagnosis): string | undefined {
  if (pod.spec?.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  const nominated = pod.status?.nominatedNodeName;
  const node = nominated ? context.snapshot().get(nominated) : undefined;
  if (!nominated || !node) return undefined;
  if (diagnosis.nodeToStatus.get(nominated)?.code === 'UnschedulableAndUnresolvable') return undefined;
  const leaving = [...node.pods.values()].some(
    (other) =>
      other.priority < priority &&
      isTerminating(other.pod) &&
      other.pod.status?.conditions?.some(
        ({ type, status, reason }) =>
          type === 'DisruptionTarget' && status === 'True' && reason === 'PreemptionByScheduler',
      ),
  );
  return leaving ? 'not eligible due to a terminating pod on the nominated node.' : undefined;
}

async function evict(context: PluginContext, preemptor: PodInfo, victim: PodInfo, nodeName: string): Promise<void> {
  const { namespace = '', name = '', uid } = victim.pod.metadata ?? {};
  const conditions = withCondition(victim.pod.status?.conditions, {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'PreemptionByScheduler',
    message: `${context.profileName}: preempting to accommodate a higher priority pod`,
  }).filter(({ type }) => type === 'DisruptionTarget');
  const api = context.client.resource(pods);
  try {
    await api.patch({ namespace, name }, { status: { conditions } }, { type: 'strategic', subresource: 'status' });
    await api.delete({ namespace, name }, uid ? { preconditions: { uid } } : {});
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return;
  }
  context.podEvent(
    victim.pod,
    'Normal',
    'Preempted',
    'Preempting',
    `Preempted by pod ${preemptor.uid} on node ${nodeName}`,
    preemptor.pod,
  );
}

export const defaultPreemption: PluginFactory = (context) => {
  const budgets = context.store(podDisruptionBudgets);

  const makeRoom = async (info: PodInfo, { nodeName, victims }: Candidate) => {
    await Promise.all(victims.filter(({ pod }) => !isTerminating(pod)).map((v) => evict(context, info, v, nodeName)));
    // Less important pods that were promised this node look for another one.
    for (const other of context.nominations.on(nodeName)) {
      if (other.priority >= info.priority) continue;
      context.nominations.remove(other);
      const { namespace = '', name = '' } = other.pod.metadata ?? {};
      await context.client
        .resource(pods)
        .patch({ namespace, name }, { status: { nominatedNodeName: null } }, { type: 'merge', subresource: 'status' })
        .catch((error: Error) => context.logError('withdrawing a nomination', error));
    }
  };

  return {
    name: 'DefaultPreemption',
    async postFilter(state, info, diagnosis): Promise<PostFilterResult | undefined> {
      const why = ineligible(info, context, diagnosis);
      if (why) return { message: `preemption: ${why}` };
      const snapshot = context.snapshot();
      const statuses = new Map<string, Status>();
      const candidates: Candidate[] = [];
      for (const [nodeName, refused] of diagnosis.nodeToStatus) {
        const node = snapshot.get(nodeName);
        if (refused.code !== 'Unschedulable' || !node || candidates.length >= mostCandidates) continue;
        const found = victimsOn(context.runner(), state, info, node, budgets.list());
        if ('victims' in found) candidates.push(found);
        else if (isRejection(found)) statuses.set(nodeName, found);
      }
      const chosen = leastHarm(candidates);
      if (!chosen) {
        const message = fitMessage(snapshot.nodes.length, statuses, unhelpful);
        return { nominatedNodeName: '', message: `preemption: ${message}` };
      }
      await makeRoom(info, chosen);
      return { nominatedNodeName: chosen.nodeName, message: '' };
    },
  };
};
