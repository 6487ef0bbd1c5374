/** What has to be true before an upgrade or a change of settings goes on: the static pod that was changed runs anew and is ready, the node is Ready. */
import { isConditionTrue } from '../../machinery/api/conditions.ts';
import type { Node, Pod } from '../../machinery/api/types.ts';
import { nodes, pods } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { KinitError } from '../errors.ts';
import { ask, probeUrl } from '../health/components.ts';
import { waitUntil } from '../host/wait.ts';

/** The container that a static pod runs at the moment. */
export const containerOf = (pod: Pod | undefined): string | undefined =>
  pod?.status?.containerStatuses?.[0]?.containerID || undefined;

export interface WantedPod {
  image: string;
  /** The container that shall be gone; absent: whichever runs is right. */
  oldContainer?: string;
  /** It serves when its probe would say so: the kubelet itself looks 10 s after the start for the first time. */
  serves?: boolean;
}

const notReady = 'its container runs, but is not ready';

/** Why a static pod is not through its gate; undefined: it is. */
export function podGate(pod: Pod | undefined, { image, oldContainer }: WantedPod): string | undefined {
  if (!pod) return 'its pod is not there yet';
  if (pod.metadata?.deletionTimestamp) return 'the old pod is still ending';
  if (oldContainer !== undefined && containerOf(pod) === oldContainer) return 'the kubelet has not started it anew yet';
  const seen = pod.spec?.containers[0]?.image;
  if (seen !== image) return `its pod has the image ${seen ?? '(none)'}, not ${image}`;
  const status = pod.status?.containerStatuses?.[0];
  const { waiting, terminated } = status?.state ?? {};
  if (waiting)
    return `its container waits: ${waiting.reason ?? 'no reason given'}${waiting.message ? `: ${waiting.message}` : ''}`;
  if (terminated) return `its container has ended with exit code ${terminated.exitCode}`;
  if (!isConditionTrue(pod.status?.conditions, 'Ready')) return notReady;
  return undefined;
}

/** Why a node is not through its gate. @param version of the kubelet that shall run */
export function nodeGate(node: Node | undefined, version: string): string | undefined {
  if (!node) return 'the node is not there';
  const seen = node.status?.nodeInfo?.kubeletVersion ?? '';
  if (seen !== version) return `its kubelet is ${seen || 'of no known version'}, not ${version}`;
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True')
    return `Ready=${ready?.status ?? 'Unknown'}: ${ready?.message ?? 'the kubelet has not reported yet'}`;
  return undefined;
}

export interface GateWait {
  timeoutMs: number;
  signal: AbortSignal;
}

/** The API server itself may be what is restarting: a request that fails is a reason to wait, too. */
async function waitAt(
  what: string,
  look: () => Promise<string | undefined>,
  advice: string,
  { timeoutMs, signal }: GateWait,
) {
  let seen = '';
  await waitUntil(
    async () => {
      try {
        const reason = await look();
        seen = reason ?? '';
        return reason === undefined;
      } catch (error) {
        signal.throwIfAborted();
        seen = error instanceof Error ? error.message : String(error);
        return false;
      }
    },
    {
      timeoutMs,
      intervalMs: 250,
      signal,
      failure: () =>
        new KinitError('Timeout', `${what} is not well ${Math.round(timeoutMs / 1000)} s after its change`, {
          seen,
          advice,
        }),
    },
  );
}

const askTimeoutMs = 5_000;

/** The deadline of one question, within the whole wait. */
const briefly = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]);

export async function staticPod(
  client: Client,
  component: string,
  nodeName: string,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const name = { name: `${component}-${nodeName}`, namespace: 'kube-system' };
  return client.resource(pods).find(name, { signal: briefly(signal), patienceMs: 0 });
}

/** What its readiness probe asks, asked from this host; without one, as of a controller manager, it is ready once it has started. */
async function answers(pod: Pod | undefined): Promise<boolean> {
  const container = pod?.spec?.containers[0];
  const url = probeUrl(container?.readinessProbe ?? container?.startupProbe, container?.ports);
  return url !== undefined && (await ask(url)).healthy;
}

export function waitForStaticPod(
  client: Client,
  component: string,
  nodeName: string,
  wanted: WantedPod,
  wait: GateWait,
): Promise<void> {
  return waitAt(
    `${component} on ${nodeName}`,
    async () => {
      const pod = await staticPod(client, component, nodeName, wait.signal);
      const reason = podGate(pod, wanted);
      return reason === notReady && wanted.serves && (await answers(pod)) ? undefined : reason;
    },
    `look at: /var/log/pods/kube-system_${component}-${nodeName}_*; journalctl -u kubelet -n 50`,
    wait,
  );
}

export function waitForUpgradedNode(client: Client, nodeName: string, version: string, wait: GateWait): Promise<void> {
  return waitAt(
    `the node ${nodeName}`,
    async () =>
      nodeGate(await client.resource(nodes).find({ name: nodeName }, { signal: briefly(wait.signal) }), version),
    'look at: journalctl -u kubelet -n 50; journalctl -u containerd -n 50',
    wait,
  );
}
