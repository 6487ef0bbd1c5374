/** What opens a gate of an upgrade, and what keeps it shut. */
import { afterEach, describe, expect, it } from 'vitest';
import { healthFindings } from '../../../src/installer/phases/upgrade-preflight.ts';
import { addonsWait, rolloutGate } from '../../../src/installer/upgrade/addons.ts';
import { nodeGate, podGate, waitForStaticPod } from '../../../src/installer/upgrade/gates.ts';
import type { RunningComponent } from '../../../src/installer/upgrade/observe.ts';
import type { DaemonSet, Deployment, Node, Pod } from '../../../src/machinery/api/types.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type AnsweringServer, answeringServer } from '../../parts/answering-server.ts';

const image = 'kinit.local/kube-apiserver:v1.36.3';

interface PodFacts {
  image?: string;
  container?: string;
  ready?: boolean;
  state?: object;
  deleted?: boolean;
}

const pod = ({
  image: name = image,
  container = 'new',
  ready = true,
  state = { running: {} },
  deleted,
}: PodFacts = {}): Pod =>
  ({
    metadata: { name: 'kube-apiserver-cp1', ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
    spec: { containers: [{ name: 'kube-apiserver', image: name }] },
    status: {
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [{ name: 'kube-apiserver', containerID: container, state }],
    },
  }) as unknown as Pod;

describe('a static pod that serves, but is not ready for the kubelet yet', () => {
  let server: AnsweringServer | undefined;
  afterEach(() => server?.close());

  /** @param probes which of its probes ask the server */
  async function waitFor(status: number, serves: boolean, ...probes: string[]): Promise<void> {
    server = await answeringServer(status);
    const port = Number(new URL(server.url).port);
    const seen = pod({ ready: false });
    for (const probe of probes)
      Object.assign(seen.spec!.containers[0]!, {
        [probe]: { httpGet: { host: '127.0.0.1', port, path: '/', scheme: 'HTTP' } },
      });
    const client = { resource: () => ({ find: async () => seen }) } as unknown as Client;
    const wait = { timeoutMs: 300, signal: new AbortController().signal };
    return waitForStaticPod(client, 'kube-apiserver', 'cp1', { image, serves }, wait);
  }

  it.each(['readinessProbe', 'startupProbe'])('is through when its %s is answered', async (probe) => {
    await expect(waitFor(200, true, probe)).resolves.toBeUndefined();
  });

  it.each([
    ['its probe fails', () => waitFor(500, true, 'readinessProbe')],
    ['it has none to ask', () => waitFor(200, true)],
    ['the kubelet is to have found it ready', () => waitFor(200, false, 'readinessProbe')],
  ])('is not when %s', async (_why, wait) => {
    await expect(wait()).rejects.toMatchObject({
      code: 'Timeout',
      details: { seen: expect.stringContaining('not ready') },
    });
  });
});

describe('the gate of a static pod', () => {
  const wanted = { image, oldContainer: 'old' };

  it.each([
    ['opens for the new container that is ready', pod(), undefined],
    ['waits for a pod', undefined, 'its pod is not there yet'],
    ['waits while the old pod ends', pod({ deleted: true }), 'still ending'],
    ['waits while the old container runs, ready as it is', pod({ container: 'old' }), 'not started it anew'],
    [
      'waits while the pod has the old image',
      pod({ image: 'kinit.local/kube-apiserver:v1.36.2' }),
      'not kinit.local/kube-apiserver:v1.36.3',
    ],
    [
      'says what a container waits for',
      pod({ state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } } }),
      'CrashLoopBackOff: back-off 10s',
    ],
    ['says how a container ended', pod({ state: { terminated: { exitCode: 3 } } }), 'exit code 3'],
    ['waits until it is ready', pod({ ready: false }), 'not ready'],
  ])('%s', (_name, seen, reason) => {
    const found = podGate(seen, wanted);
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(reason);
  });

  it('takes any container where nothing was changed', () => {
    expect(podGate(pod({ container: 'old' }), { image })).toBeUndefined();
  });
});

const node = (version: string, status: 'True' | 'False' | 'Unknown', message = ''): Node => ({
  metadata: { name: 'w1' },
  status: { nodeInfo: { kubeletVersion: version }, conditions: [{ type: 'Ready', status, message }] } as Node['status'],
});

describe('the gate of a node', () => {
  it.each([
    ['opens for a Ready node with the new kubelet', node('v1.36.3', 'True'), undefined],
    [
      'waits while the old kubelet is what the cluster knows',
      node('v1.36.2', 'True'),
      'its kubelet is v1.36.2, not v1.36.3',
    ],
    [
      'says why a node is not Ready',
      node('v1.36.3', 'False', 'cni plugin not initialized'),
      'Ready=False: cni plugin not initialized',
    ],
    ['waits for a node', undefined, 'the node is not there'],
  ])('%s', (_name, seen, reason) => {
    expect(nodeGate(seen, 'v1.36.3')).toBe(reason);
  });
});

const daemonSet = (desired: number, updated: number, available: number, observed = 2) =>
  ({
    kind: 'DaemonSet',
    metadata: { generation: 2 },
    status: {
      observedGeneration: observed,
      desiredNumberScheduled: desired,
      updatedNumberScheduled: updated,
      numberAvailable: available,
    },
  }) as unknown as DaemonSet;
const deployment = (wanted: number, replicas: number, updated: number, available: number) =>
  ({
    kind: 'Deployment',
    metadata: { generation: 2 },
    spec: { replicas: wanted },
    status: { observedGeneration: 2, replicas, updatedReplicas: updated, availableReplicas: available },
  }) as unknown as Deployment;

describe('the gate of an add-on', () => {
  it.each([
    ['a DaemonSet on all nodes', daemonSet(3, 3, 3), undefined],
    [
      'a DaemonSet that its controller has not seen',
      daemonSet(3, 3, 3, 1),
      'its controller has not seen the change yet',
    ],
    ['a DaemonSet half way', daemonSet(3, 2, 3), '2 of 3 pods are of the new version'],
    ['a DaemonSet with a pod that does not start', daemonSet(3, 3, 2), '2 of 3 pods are available'],
    ['a Deployment that is rolled out', deployment(2, 2, 2, 2), undefined],
    ['a Deployment of which old pods are left', deployment(2, 3, 2, 2), '1 old pods are still ending'],
    ['a Deployment that is not available', deployment(2, 2, 2, 1), '1 of 2 pods are available'],
    ['a Deployment scaled to none', deployment(0, 0, 0, 0), undefined],
    ['nothing', undefined, 'it is not there'],
  ])('%s', (_name, object, reason) => {
    expect(rolloutGate(object)).toBe(reason);
  });
});

const observed = (name: string, roles: string[], images: string[], ready = true) => ({
  name,
  roles,
  images,
  ready,
  message: '',
  unschedulable: false,
  version: 'v1.36.2',
  address: '10.0.0.1',
  pressures: [],
  allImages: true,
});
const server = (on: string, tag: string, ready = true): RunningComponent => ({
  name: 'kube-apiserver',
  node: on,
  image: `kinit.local/kube-apiserver:${tag}`,
  ready,
});

describe('add-ons', () => {
  const settings = { imageRepository: 'registry.example.com/k8s' };
  const has = ['registry.example.com/k8s/kube-proxy:v1.36.2', 'registry.example.com/k8s/kinit-network:v1.36.2'];

  it('are upgraded when all control planes are, and every node has the images', () => {
    const state = {
      nodes: [observed('cp1', ['control-plane'], has), observed('w1', [], has)],
      components: [server('cp1', 'v1.36.2')],
    };
    expect(addonsWait(state, 'v1.36.2', settings)).toBeUndefined();
  });

  it('wait for the other control planes first', () => {
    const state = {
      nodes: [observed('cp1', ['control-plane'], [])],
      components: [server('cp1', 'v1.36.2'), server('cp2', 'v1.36.1')],
    };
    expect(addonsWait(state, 'v1.36.2', settings)?.reason).toBe('the control planes cp2 are not upgraded yet');
  });

  it('wait for the images, which no node can pull', () => {
    const state = {
      nodes: [observed('w1', [], has), observed('w2', [], has.slice(0, 1))],
      components: [server('cp1', 'v1.36.2')],
    };
    expect(addonsWait(state, 'v1.36.2', settings)?.reason).toBe('the nodes w2 do not have the new images yet');
    const nodes = state.nodes.map((node) => ({ ...node, allImages: node.name !== 'w2' }));
    // A node with very many images does not tell all of them.
    expect(addonsWait({ ...state, nodes }, 'v1.36.2', settings)).toBeUndefined();
  });
});

describe('the health of a cluster', () => {
  it('stands against an upgrade when a control plane is away or a component is not ready', () => {
    const nodes = [observed('cp1', ['control-plane'], [], false), observed('w1', [], [], false)];
    const found = healthFindings({ nodes, components: [server('cp1', 'v1.36.2', false)] });
    expect(found.map(({ check, level, message }) => [check, level, message])).toEqual([
      ['ControlPlaneNodesReady', 'error', 'there are NotReady control-planes in the cluster: cp1'],
      ['ControlPlanePodsReady', 'error', 'these components are not ready: kube-apiserver on cp1'],
      ['NodesReady', 'warning', 'these nodes are not Ready: w1'],
    ]);
  });

  it('does not when all are well', () => {
    expect(
      healthFindings({ nodes: [observed('cp1', ['control-plane'], [])], components: [server('cp1', 'v1.36.2')] }),
    ).toEqual([]);
  });
});
