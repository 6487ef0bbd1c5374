/** The taints that follow a node's conditions, and how they are written. */
import { sameTaint, taintKeys } from '../../../../machinery/api/taints.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Node, Taint } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { nodes } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';

/** Condition type → status → taint key. */
const taintOfCondition: Record<string, Record<string, string>> = {
  Ready: { False: taintKeys.notReady, Unknown: taintKeys.unreachable },
  MemoryPressure: { True: taintKeys.memoryPressure },
  DiskPressure: { True: taintKeys.diskPressure },
  NetworkUnavailable: { True: taintKeys.networkUnavailable },
  PIDPressure: { True: taintKeys.pidPressure },
};
const conditionKeys = new Set([
  ...Object.values(taintOfCondition).flatMap((byStatus) => Object.values(byStatus)),
  taintKeys.unschedulable,
]);

export const noExecuteTaint = {
  False: { key: taintKeys.notReady, effect: 'NoExecute' },
  Unknown: { key: taintKeys.unreachable, effect: 'NoExecute' },
} as const satisfies Record<string, Taint>;

/** The NoSchedule taints that conditions and `spec.unschedulable` ask for, put in place of those that are there. */
export function withNoScheduleTaints(node: Node, now: string): Taint[] | undefined {
  const wanted = (node.status?.conditions ?? []).flatMap(({ type, status }) => {
    const key = taintOfCondition[type]?.[status];
    return key ? [key] : [];
  });
  if (node.spec?.unschedulable) wanted.push(taintKeys.unschedulable);
  const taints = node.spec?.taints ?? [];
  const isOurs = ({ key, effect }: Taint) => effect === 'NoSchedule' && conditionKeys.has(key);
  const kept = taints.filter((taint) => !isOurs(taint) || wanted.includes(taint.key));
  const added = wanted
    .filter((key) => !kept.some((taint) => isOurs(taint) && taint.key === key))
    .map((key): Taint => ({ key, effect: 'NoSchedule', timeAdded: now }));
  return added.length === 0 && kept.length === taints.length ? undefined : [...kept, ...added];
}

/** With the NoExecute taint of this readiness, and without the other one's; undefined when nothing changes. */
export function withNoExecuteTaint(
  node: Node,
  readiness: 'True' | 'False' | 'Unknown',
  now: string,
): Taint[] | undefined {
  const taints = node.spec?.taints ?? [];
  const wanted: Taint | undefined = readiness === 'True' ? undefined : noExecuteTaint[readiness];
  const others = Object.values(noExecuteTaint).filter((taint) => !wanted || !sameTaint(taint, wanted));
  const kept = taints.filter((taint) => !others.some((other) => sameTaint(other, taint)));
  const missing = wanted && !kept.some((taint) => sameTaint(taint, wanted));
  if (!missing && kept.length === taints.length) return undefined;
  return missing ? [...kept, { ...wanted, timeAdded: now }] : kept;
}

const tries = 5;

/** Reads the node, lets `change` decide, writes the taints unless the node has changed meanwhile; then again. */
export async function changeTaints(
  client: Client,
  name: string,
  change: (node: Node, now: string) => Taint[] | undefined,
): Promise<void> {
  const api = client.resource(nodes);
  for (let attempt = 1; ; attempt++) {
    const node = await api.find({ name });
    const taints = node && change(node, formatTime());
    if (!node || !taints) return;
    try {
      const { resourceVersion } = node.metadata ?? {};
      await api.patch({ name }, { metadata: { resourceVersion }, spec: { taints } }, { type: 'merge' });
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error) || attempt === tries) throw error;
    }
  }
}
