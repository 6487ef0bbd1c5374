/** What a failed attempt leaves behind: an event, the condition PodScheduled=False, perhaps a nomination. */
import { findCondition, withCondition } from '../../../machinery/api/conditions.ts';
import type { Pod, PodCondition } from '../../../machinery/api/types.ts';
import { pods } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';

/** Also of the events: longer notes are refused. */
const messageLimit = 1024;

export const shortened = (message: string): string =>
  message.length <= messageLimit ? message : `${message.slice(0, messageLimit - 4)} ...`;

/**
 * The patch of the pod's status, undefined when it is so already.
 * @param nominatedNodeName undefined leaves what is there, empty clears it
 */
export function failurePatch(
  pod: Pod,
  reason: 'Unschedulable' | 'SchedulerError',
  message: string,
  nominatedNodeName: string | undefined,
): { status: object } | undefined {
  const generation = pod.metadata?.generation;
  const wanted: PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    ...(generation ? { observedGeneration: generation } : {}),
  };
  const before = pod.status?.conditions ?? [];
  const after = withCondition(before, wanted);
  const nominates = nominatedNodeName !== undefined && nominatedNodeName !== (pod.status?.nominatedNodeName ?? '');
  if (after === before && !nominates) return undefined;
  const condition = findCondition(after, 'PodScheduled');
  return {
    status: {
      ...(after === before ? {} : { conditions: [condition] }),
      ...(nominates ? { nominatedNodeName: nominatedNodeName || null } : {}),
    },
  };
}

export async function recordFailure(client: Client, pod: Pod, patch: { status: object }): Promise<void> {
  const { namespace = '', name = '' } = pod.metadata ?? {};
  await client.resource(pods).patch({ namespace, name }, patch, { type: 'strategic', subresource: 'status' });
}
