/** The Node object of this host: labels and taints of a control plane, and waiting until it is Ready. */
import type { Node } from '../../machinery/api/types.ts';
import { ApiError, isConflict, isNotFound } from '../../machinery/client/errors.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import type { Taint } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';

export const nodes: ResourceType<Node> = {
  group: '',
  version: 'v1',
  resource: 'nodes',
  kind: 'Node',
  namespaced: false,
};

export const controlPlaneLabels: Record<string, string> = {
  'node-role.kubernetes.io/control-plane': '',
  'node.kubernetes.io/exclude-from-external-load-balancers': '',
};

export interface NodeWait {
  timeoutMs: number;
  signal: AbortSignal;
}

/** A connection that breaks, and a server that is busy or going, are no answer yet: another try may come to another server. */
function unlessRefused(error: unknown): string {
  if (error instanceof ApiError && error.code < 500 && error.code !== 429) throw error;
  return error instanceof Error ? error.message : String(error);
}

/** Waits until the kubelet has registered the node. */
export async function waitForNode(client: Client, name: string, { timeoutMs, signal }: NodeWait): Promise<Node> {
  let node: Node | undefined;
  let seen = 'no such node';
  await waitUntil(
    async () => {
      try {
        node = await client.resource(nodes).find({ name }, { signal, patienceMs: 0 });
      } catch (error) {
        seen = unlessRefused(error);
      }
      return node !== undefined;
    },
    {
      timeoutMs,
      intervalMs: 50,
      signal,
      failure: () =>
        new KinitError(
          'Timeout',
          `the kubelet has not registered the node ${name} after ${Math.round(timeoutMs / 1000)} s`,
          {
            seen,
            advice: 'look at: journalctl -u kubelet -n 50',
          },
        ),
    },
  );
  return node!;
}

/** Adds labels and taints; others stay. @returns whether anything changed */
export async function markControlPlane(
  client: Client,
  name: string,
  taints: Taint[],
  wait: NodeWait,
): Promise<boolean> {
  for (;;) {
    const node = await waitForNode(client, name, wait);
    const labels = { ...node.metadata?.labels, ...controlPlaneLabels };
    const present = node.spec?.taints ?? [];
    const missing = taints.filter(({ key, effect }) => !present.some((t) => t.key === key && t.effect === effect));
    const labelled = Object.keys(controlPlaneLabels).every((key) => node.metadata?.labels?.[key] === '');
    if (labelled && missing.length === 0) return false;
    try {
      // A merge patch with the version: somebody else's taint between read and write is not lost.
      await client.resource(nodes).patch(
        { name },
        {
          metadata: { labels, resourceVersion: node.metadata?.resourceVersion },
          ...(missing.length ? { spec: { taints: [...present, ...missing] } } : {}),
        },
        { type: 'merge', signal: wait.signal },
      );
      return true;
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
}

/** Waits until the node's condition Ready is true. */
export async function waitForReady(client: Client, name: string, { timeoutMs, signal }: NodeWait): Promise<void> {
  let seen = 'no such node';
  await waitUntil(
    async () => {
      try {
        const node = await client.resource(nodes).find({ name }, { signal, patienceMs: 0 });
        const condition = node?.status?.conditions?.find(({ type }) => type === 'Ready');
        seen = condition ? `Ready=${condition.status}: ${condition.reason}: ${condition.message}` : seen;
        return condition?.status === 'True';
      } catch (error) {
        seen = unlessRefused(error);
        return false;
      }
    },
    {
      timeoutMs,
      intervalMs: 50,
      signal,
      failure: () =>
        new KinitError('Timeout', `the node ${name} is not Ready after ${Math.round(timeoutMs / 1000)} s`, {
          seen,
          advice:
            'look at: kubectl describe node; kubectl -n kube-system get pods -o wide; journalctl -u kubelet -n 50',
        }),
    },
  );
}
