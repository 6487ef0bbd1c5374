/**
 * Nodes without containers: they register, renew their leases, take pods and report them running, ended or gone as a
 * scheduler and kubelets would. What the pods' containers do is said by annotations on the pod:
 * `hollow/exit` = an exit code (it ends at once), `hollow/unready` = it runs and is never ready.
 */

import { nodeNamesOf } from '../../../src/machinery/api/node-affinity.ts';
import { formatMicroTime, formatTime } from '../../../src/machinery/api/time.ts';
import type { Pod, PodStatus } from '../../../src/machinery/api/types.ts';
import { ApiError, isAlreadyExists, isNotFound } from '../../../src/machinery/client/errors.ts';
import { leases, nodes, pods } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { createInformerFactory } from '../../../src/machinery/informer/factory.ts';

export interface HollowNodes {
  stop(): void;
}

export async function startHollowNodes(client: Client, names: string[]): Promise<HollowNodes> {
  const stopped = new AbortController();
  for (const [index, name] of names.entries()) await register(client, name, `zone-${index}`);
  const timer = setInterval(() => {
    for (const name of names) renew(client, name).catch(ignoreWhenStopped(stopped.signal));
  }, 5000);
  let counter = 0;
  const busy = new Set<string>();
  const handle = (pod: Pod): void => {
    const uid = pod.metadata?.uid ?? '';
    if (busy.has(uid)) return;
    busy.add(uid);
    advance(pod)
      .catch(ignoreWhenStopped(stopped.signal))
      .finally(() => {
        busy.delete(uid);
        const now = informer.store.get(`${pod.metadata?.namespace}/${pod.metadata?.name}`);
        if (now && now.metadata?.resourceVersion !== pod.metadata?.resourceVersion) handle(now);
      });
  };
  async function advance(pod: Pod): Promise<void> {
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    const resource = client.resource(pods);
    if (pod.metadata?.deletionTimestamp) {
      if (pod.spec?.nodeName && pod.metadata.finalizers?.length && !isEnded(pod))
        await resource.updateStatus({ ...pod, status: endedStatus(pod, 137) });
      await resource.delete({ namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
      return;
    }
    if (!pod.spec?.nodeName) {
      const wanted = nodeNamesOf(pod.spec);
      const node = names.filter((each) => !wanted || wanted.has(each))[counter++ % (wanted?.size ?? names.length)];
      if (!node) return;
      const target = { apiVersion: 'v1', kind: 'Node', name: node };
      const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target };
      await resource.createSubresource({ namespace, name }, 'binding', body);
      return;
    }
    const exit = pod.metadata?.annotations?.['hollow/exit'];
    const ready = pod.metadata?.annotations?.['hollow/unready'] === undefined;
    if (pod.status?.phase === 'Pending') {
      counter += 1;
      const podIP = `10.244.${(counter >> 8) & 255}.${counter & 255}`;
      await resource.updateStatus({ ...pod, status: runningStatus(pod, podIP, ready && exit === undefined) });
    } else if (exit !== undefined && pod.status?.phase === 'Running')
      await resource.updateStatus({ ...pod, status: endedStatus(pod, Number(exit)) });
  }
  const factory = createInformerFactory(client);
  const informer = factory.informer(pods);
  informer.addHandler({ onAdd: handle, onUpdate: (_old, pod) => handle(pod) });
  factory.start(stopped.signal);
  return {
    stop() {
      clearInterval(timer);
      stopped.abort();
    },
  };
}

/** A conflict or a pod that went is followed by another event; anything else ends the test. */
const ignoreWhenStopped = (signal: AbortSignal) => (error: unknown) => {
  if (signal.aborted || isNotFound(error) || (error instanceof ApiError && error.code === 409)) return;
  throw error;
};

const isEnded = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

function runningStatus(pod: Pod, podIP: string, ready: boolean): PodStatus {
  const time = formatTime();
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: ready || type === 'PodScheduled' || type === 'Initialized' ? 'True' : 'False',
    lastTransitionTime: time,
  }));
  const containerStatuses = (pod.spec?.containers ?? []).map(({ name, image = '' }) => ({
    name,
    image,
    imageID: image,
    ready,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: time } },
  }));
  return { phase: 'Running', conditions, podIP, podIPs: [{ ip: podIP }], startTime: time, containerStatuses };
}

function endedStatus(pod: Pod, exitCode: number): PodStatus {
  const finishedAt = formatTime();
  return {
    ...pod.status,
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    containerStatuses: (pod.status?.containerStatuses ?? []).map((status) => ({
      ...status,
      ready: false,
      state: { terminated: { exitCode, finishedAt, reason: exitCode === 0 ? 'Completed' : 'Error' } },
    })),
  };
}

async function register(client: Client, name: string, zone: string): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': zone };
  const time = formatTime();
  const conditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    reason: 'Kubelet',
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  }));
  await renew(client, name);
  await client.resource(nodes).create({ metadata: { name, labels } });
  await client
    .resource(nodes)
    .patch({ name }, { status: { conditions } }, { type: 'strategic', subresource: 'status' });
}

async function renew(client: Client, name: string): Promise<void> {
  const ref = { namespace: 'kube-node-lease', name };
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: formatMicroTime() };
  try {
    await client.resource(leases).create({ metadata: ref, spec });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    await client.resource(leases).patch(ref, { spec }, { type: 'merge' });
  }
}
