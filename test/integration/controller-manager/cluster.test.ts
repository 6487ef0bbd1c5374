/** kube-controller-manager's cluster controllers against a real kube-apiserver and etcd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatMicroTime, formatTime } from '../../../src/machinery/api/time.ts';
import type { KubeObject, Node, Pod } from '../../../src/machinery/api/types.ts';
import { createClient, isAlreadyExists } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  configMaps,
  coreEvents,
  leases,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const root = join(import.meta.dirname, '../../..');

let plane: ControlPlane;
let client: Client;
let controllerManager: ChildProcess;
const beating = new Map<string, NodeJS.Timeout>();

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 20): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}

function startControllerManager(): ChildProcess {
  const kubeconfig = plane.kubeconfig('controller-manager');
  return spawn(
    join(root, 'node_modules/.bin/node'),
    [
      join(root, 'src/components/controller-manager/main.ts'),
      '--bind-address=127.0.0.1',
      '--secure-port=0',
      `--kubeconfig=${kubeconfig}`,
      `--cluster-signing-cert-file=${plane.dir}/ca.crt`,
      `--cluster-signing-key-file=${plane.dir}/ca.key`,
      `--root-ca-file=${plane.dir}/ca.crt`,
      `--service-account-private-key-file=${plane.dir}/sa.key`,
      '--allocate-node-cidrs',
      '--cluster-cidr=10.244.0.0/16',
      '--controllers=*,bootstrapsigner,tokencleaner',
      '--use-service-account-credentials',
      '--leader-elect-lease-duration=5s',
      '--leader-elect-renew-deadline=4s',
      '--leader-elect-retry-period=1s',
      '--node-monitor-period=500ms',
      '--node-monitor-grace-period=4s',
      '--node-startup-grace-period=5s',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
}

async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

const uidOf = ({ metadata }: KubeObject) => metadata?.uid ?? '';

/** A node whose kubelet renews its lease twice a second until `silence`. */
async function addNode(name: string): Promise<Node> {
  const node = await client.resource(nodes).create({ metadata: { name } });
  const time = formatTime();
  const conditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    reason: 'Kubelet',
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  }));
  await client
    .resource(nodes)
    .patch({ name }, { status: { conditions } }, { type: 'strategic', subresource: 'status' });
  await beat(name);
  return node;
}

async function beat(name: string): Promise<void> {
  const ref = { namespace: 'kube-node-lease', name };
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: formatMicroTime() };
  try {
    await client.resource(leases).create({ metadata: ref, spec });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  const timer = setInterval(() => {
    client
      .resource(leases)
      .patch(ref, { spec: { renewTime: formatMicroTime() } }, { type: 'merge' })
      .catch(() => silence(name));
  }, 500);
  beating.set(name, timer);
}

function silence(name: string): void {
  clearInterval(beating.get(name));
  beating.delete(name);
}

beforeAll(async () => {
  plane = await startControlPlane();
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  controllerManager = startControllerManager();
  await until('the first default service account', () =>
    client.resource(serviceAccounts).find({ namespace: 'default', name: 'default' }),
  );
});

afterAll(async () => {
  for (const name of [...beating.keys()]) silence(name);
  if (controllerManager) await end(controllerManager);
  client?.close();
  await plane?.stop();
});

describe('namespaces', () => {
  test('get a default service account and the root CA, again when they are deleted', async () => {
    const namespace = 'furnished';
    await client.resource(namespaces).create({ metadata: { name: namespace } });
    const map = { namespace, name: 'kube-root-ca.crt' };
    const account = { namespace, name: 'default' };
    const first = await until('the ConfigMap', () => client.resource(configMaps).find(map));
    expect(first.data?.['ca.crt']).toContain('BEGIN CERTIFICATE');
    const oldAccount = await until('the account', () => client.resource(serviceAccounts).find(account));
    await client.resource(configMaps).delete(map);
    await client.resource(serviceAccounts).delete(account);
    await until('the ConfigMap again', () => client.resource(configMaps).find(map));
    const newAccount = await until('the account again', () => client.resource(serviceAccounts).find(account));
    expect(uidOf(newAccount)).not.toBe(uidOf(oldAccount));
  });

  test('are emptied and finalized when they are deleted', async () => {
    const namespace = 'ending';
    await client.resource(namespaces).create({ metadata: { name: namespace } });
    await client
      .resource(configMaps)
      .create({ metadata: { namespace, name: 'held', finalizers: ['test.local/hold'] } });
    await client.resource(secrets).create({ metadata: { namespace, name: 'plain' } });
    await client.resource(namespaces).delete({ name: namespace });
    const message = await until('the finalizer in the conditions', async () => {
      const found = await client.resource(namespaces).get({ name: namespace });
      return found.status?.conditions?.find(
        ({ type, status }) => type === 'NamespaceFinalizersRemaining' && status === 'True',
      )?.message;
    });
    expect(message).toBe(
      'Some content in the namespace has finalizers remaining: test.local/hold in 1 resource instances',
    );
    expect(await client.resource(secrets).find({ namespace, name: 'plain' })).toBeUndefined();
    await client
      .resource(configMaps)
      .patch({ namespace, name: 'held' }, { metadata: { finalizers: null } }, { type: 'merge' });
    await until('the end', async () => !(await client.resource(namespaces).find({ name: namespace })), 30);
  });
});

describe('garbage collection', () => {
  const namespace = 'default';
  const family = async (name: string, blockOwnerDeletion = true) => {
    const owner = await client.resource(configMaps).create({ metadata: { namespace, name } });
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid: uidOf(owner), blockOwnerDeletion }];
    await client.resource(secrets).create({ metadata: { namespace, name: `${name}-child`, ownerReferences } });
    return owner;
  };
  const child = (name: string) => client.resource(secrets).find({ namespace, name: `${name}-child` });
  const owner = (name: string) => client.resource(configMaps).find({ namespace, name });

  test('deletes what is left behind by a deleted owner', async () => {
    await family('background');
    await client.resource(configMaps).delete({ namespace, name: 'background' }, { propagationPolicy: 'Background' });
    await until('the child to go', async () => !(await child('background')));
  });

  test('keeps an owner that is deleted in the foreground until its children are gone', async () => {
    await family('foreground');
    await client
      .resource(secrets)
      .patch(
        { namespace, name: 'foreground-child' },
        { metadata: { finalizers: ['test.local/hold'] } },
        { type: 'merge' },
      );
    await client.resource(configMaps).delete({ namespace, name: 'foreground' }, { propagationPolicy: 'Foreground' });
    await until('the child to be deleted', async () => (await child('foreground'))?.metadata?.deletionTimestamp);
    expect((await owner('foreground'))?.metadata?.finalizers).toEqual(['foregroundDeletion']);
    await client
      .resource(secrets)
      .patch({ namespace, name: 'foreground-child' }, { metadata: { finalizers: null } }, { type: 'merge' });
    await until('the owner to go', async () => !(await owner('foreground')));
  });

  test('releases the children of an owner that is deleted with orphans', async () => {
    await family('orphan');
    await client.resource(configMaps).delete({ namespace, name: 'orphan' }, { propagationPolicy: 'Orphan' });
    await until('the owner to go', async () => !(await owner('orphan')));
    expect((await child('orphan'))?.metadata?.ownerReferences ?? []).toEqual([]);
  });

  test('deletes objects whose owner never existed, and keeps those that have another owner', async () => {
    const real = await family('shared');
    const references = [
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'e4f27a0e-0000-4000-8000-000000000001' },
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'shared', uid: uidOf(real) },
    ];
    const create = (name: string, ownerReferences: typeof references) =>
      client.resource(secrets).create({ metadata: { namespace, name, ownerReferences } });
    await create('half', references);
    await create('alone', references.slice(0, 1));
    await until('the one without owner to go', async () => {
      return !(await client.resource(secrets).find({ namespace, name: 'alone' }));
    });
    const left = await until('the dead reference to go', async () => {
      const half = await client.resource(secrets).get({ namespace, name: 'half' });
      return half.metadata?.ownerReferences?.length === 1 && half.metadata.ownerReferences;
    });
    expect(left[0]?.uid).toBe(uidOf(real));
  });
});

describe('bootstrap tokens', () => {
  test('sign cluster-info until they expire, and are deleted then', async () => {
    const encode = (text: string) => Buffer.from(text).toString('base64');
    await client.resource(secrets).create({
      metadata: { namespace: 'kube-system', name: 'bootstrap-token-abcdef' },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': encode('abcdef'),
        'token-secret': encode('0123456789abcdef'),
        'usage-bootstrap-signing': encode('true'),
        expiration: encode(formatTime(new Date(Date.now() + 6_000))),
      },
    });
    const ref = { namespace: 'kube-public', name: 'cluster-info' };
    await client.resource(configMaps).create({ metadata: ref, data: { kubeconfig: 'hello' } });
    const signature = async () => (await client.resource(configMaps).get(ref)).data?.['jws-kubeconfig-abcdef'];
    expect(await until('the signature', signature)).toMatch(/^eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9\.\.[\w-]{43}$/);
    await until('the token to go', async () => {
      return !(await client.resource(secrets).find({ namespace: 'kube-system', name: 'bootstrap-token-abcdef' }));
    });
    await until('the signature to go', async () => (await signature()) === undefined);
  });
});

describe('nodes', () => {
  const node = (name: string) => client.resource(nodes).get({ name });
  const taintsOf = ({ spec }: Node) => (spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();

  test('get pod CIDRs that nobody else has, also after a restart of the controller manager', async () => {
    await Promise.all(['first', 'second', 'third'].map(addNode));
    const cidr = (name: string) => until(`the CIDR of ${name}`, async () => (await node(name)).spec?.podCIDR);
    const before = await Promise.all(['first', 'second', 'third'].map(cidr));
    expect(new Set(before).size).toBe(3);
    await end(controllerManager, 'SIGKILL');
    controllerManager = startControllerManager();
    await addNode('fourth');
    expect(before).not.toContain(await cidr('fourth'));
  });

  test('that are silent become Unknown and unreachable, and their pods move out; back they are as before', async () => {
    const namespace = 'default';
    const pod = (name: string, tolerationSeconds: number): Pod => ({
      metadata: { namespace, name },
      spec: {
        nodeName: 'first',
        containers: [{ name: 'a', image: 'a' }],
        tolerations: ['not-ready', 'unreachable'].map((key) => ({
          key: `node.kubernetes.io/${key}`,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds,
        })),
      },
    });
    const evicted = await client.resource(pods).create(pod('short', 2));
    await client.resource(pods).create(pod('long', 600));
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime() }];
    await client
      .resource(pods)
      .patch(
        { namespace, name: 'long' },
        { status: { phase: 'Running', conditions } },
        { type: 'strategic', subresource: 'status' },
      );
    await until('all nodes to be without taints', async () => taintsOf(await node('first')).length === 0);

    silence('first');
    const unknown = await until('Unknown', async () => {
      const found = await node('first');
      return found.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown') && found;
    });
    expect(unknown.status?.conditions?.map(({ status, reason }) => `${status} ${reason}`)).toEqual(
      Array(4).fill('Unknown NodeStatusUnknown'),
    );
    await until('both taints', async () => taintsOf(await node('first')).length === 2);
    expect(taintsOf(await node('first'))).toEqual([
      'node.kubernetes.io/unreachable:NoExecute',
      'node.kubernetes.io/unreachable:NoSchedule',
    ]);
    await until('the pod not to be ready', async () => {
      const long = await client.resource(pods).get({ namespace, name: 'long' });
      return long.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'False');
    });
    await until('the eviction', async () => {
      const short = await client.resource(pods).find({ namespace, name: 'short' });
      return !short || short.metadata?.uid !== uidOf(evicted) || short.metadata.deletionTimestamp !== undefined;
    });
    const eviction = await until('the event', async () => {
      const { items } = await client.resource(coreEvents).list({ namespace });
      return items.find(({ reason }) => reason === 'TaintManagerEviction');
    });
    expect(eviction.message).toBe('Marking for deletion Pod default/short');
    expect(taintsOf(await node('second'))).toEqual([]);

    const time = formatTime();
    await client.resource(nodes).patch(
      { name: 'first' },
      {
        status: {
          conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: time, lastTransitionTime: time }],
        },
      },
      { type: 'strategic', subresource: 'status' },
    );
    await beat('first');
    await until('the taints to go', async () => taintsOf(await node('first')).length === 0);
    expect((await client.resource(pods).get({ namespace, name: 'long' })).metadata?.deletionTimestamp).toBeUndefined();
  });
});
