/** The kubelet with a real containerd: static pods alone, then a whole life of pods with a real API server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoreEvent, Node, Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  certificateSigningRequests,
  clusterRoleBindings,
  coreEvents,
  leases,
  nodes,
  pods,
  secrets,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { busyboxImage } from '../../images/build.ts';
import { startContainerd, type TestContainerd } from '../../parts/containerd.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const root = join(import.meta.dirname, '../../..');
const cgroup = `kinit-test-${process.pid}`;
const sleeper = 'trap "exit 0" TERM; while :; do sleep 0.2; done';

let dir: string;
let runtime: TestContainerd;
let kubelet: ChildProcess | undefined;
let ports: { healthz: number; server: number };

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; see ${dir}/kubelet.log`);
    await delay(50);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function startKubelet(...args: string[]): void {
  const child = spawn(
    join(root, 'node_modules/.bin/node'),
    [
      join(root, 'src/components/kubelet/main.ts'),
      `--config=${dir}/config.yaml`,
      `--root-dir=${dir}/kubelet`,
      `--cert-dir=${dir}/pki`,
      '--hostname-override=n1',
      ...args,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  child.stderr.pipe(createWriteStream(join(dir, 'kubelet.log'), { flags: 'a' }));
  kubelet = child;
}

async function stopKubelet(): Promise<number | null> {
  const child = kubelet;
  if (!child) return null;
  kubelet = undefined;
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  return ended;
}

const healthy = () =>
  fetch(`http://127.0.0.1:${ports.healthz}/healthz`).then(
    (answer) => answer.status === 200,
    () => false,
  );

/** Names a manifest's draft does not have, so that the kubelet sees it whole. */
async function writeManifest(name: string, text: string): Promise<void> {
  await writeFile(join(dir, `.${name}`), text);
  await rename(join(dir, `.${name}`), join(dir, 'manifests', name));
}

const manifest = (word: string) => `apiVersion: v1
kind: Pod
metadata: {name: fixed, namespace: kube-system}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 5
  initContainers:
  - {name: first, image: ${busyboxImage}, command: [sh, -c, 'echo first']}
  - {name: side, image: ${busyboxImage}, restartPolicy: Always, command: [sh, -c, '${sleeper}']}
  containers:
  - name: main
    image: ${busyboxImage}
    command: [sh, -c, 'echo ${word} $(WHERE); ${sleeper}']
    env: [{name: WHERE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}
`;

/** Text of the newest log of a container of a pod. */
async function logOf(podPrefix: string, container: string): Promise<string | undefined> {
  const folders = await readdir(join(dir, 'logs'));
  for (const folder of folders.filter((name) => name.startsWith(podPrefix))) {
    const path = join(dir, 'logs', folder, container);
    const files = existsSync(path) ? (await readdir(path)).sort() : [];
    const last = files.at(-1);
    const text = last ? await readFile(join(path, last), 'utf8') : '';
    if (text) return text;
  }
  return undefined;
}

const tasks = async () =>
  (await runtime.ctr('tasks', 'ls'))
    .split('\n')
    .slice(1)
    .filter((line) => line.includes('RUNNING'))
    .map((line) => line.split(/\s+/)[0] as string)
    .sort();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinit-kubelet-'));
  for (const folder of ['manifests', 'logs']) await mkdir(join(dir, folder));
  runtime = await startContainerd(join(dir, 'c'));
  ports = { healthz: await freePort(), server: await freePort() };
  await writeFile(
    join(dir, 'config.yaml'),
    `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: ${dir}/manifests
podLogsDir: ${dir}/logs
containerRuntimeEndpoint: unix://${runtime.socket}
healthzPort: ${ports.healthz}
port: ${ports.server}
address: 127.0.0.1
cgroupDriver: cgroupfs
cgroupRoot: /${cgroup}
failCgroupV1: false
failSwapOn: false
rotateCertificates: true
serverTLSBootstrap: true
evictionHard: {memory.available: 1Mi}
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
`,
  );
});

afterAll(async () => {
  await stopKubelet();
  await runtime?.stop();
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1])
    .filter((path): path is string => path?.startsWith(`${dir}/`) ?? false);
  for (const path of mounts.reverse()) await execa('umount', ['-l', path], { reject: false });
  await execa(
    'find',
    ['/sys/fs/cgroup', '-depth', '-type', 'd', '-path', `*/${cgroup}*`, '-exec', 'rmdir', '{}', ';'],
    {
      reject: false,
    },
  );
  await rm(dir, { recursive: true, force: true });
});

describe('static pods without an API server', () => {
  test('run in order, and write their logs', async () => {
    await writeManifest('fixed.yaml', manifest('hello'));
    await writeManifest('broken.yaml', 'kind: Pod\napiVersion: v1\nmetadata: {name: [');
    startKubelet();
    await until('the pod’s output', async () => (await logOf('kube-system_fixed-n1_', 'main'))?.includes('hello n1'));
    expect(await logOf('kube-system_fixed-n1_', 'first')).toMatch(/stdout F first\n/);
    expect(await tasks()).toHaveLength(3);
    expect(await healthy()).toBe(true);
    expect(await readFile(join(dir, 'kubelet.log'), 'utf8')).toContain("broken.yaml: couldn't parse as pod");
  });

  test('go on untouched while the kubelet is started again', async () => {
    const before = await tasks();
    expect(await stopKubelet()).toBe(0);
    expect(await tasks()).toEqual(before);
    startKubelet();
    await until('the kubelet’s health', healthy);
    // A change that it makes shows that it has looked at all pods.
    const folder = join(dir, 'manifests/other.yaml');
    await writeFile(folder, manifest('other').replace('name: fixed', 'name: other'));
    await until('another pod', async () => (await logOf('kube-system_other-n1_', 'main'))?.includes('other n1'));
    expect(await tasks()).toEqual(expect.arrayContaining(before));
    await rm(folder);
    await until('the end of the other pod', async () => (await tasks()).length === before.length);
    expect(await tasks()).toEqual(before);
  });

  test('are replaced when their manifest changes, and end when it goes', async () => {
    const before = await tasks();
    await writeManifest('fixed.yaml', manifest('changed'));
    await until('the new pod', async () => {
      const now = await tasks();
      return now.length === 3 && now.every((id) => !before.includes(id));
    });
    await rm(join(dir, 'manifests/fixed.yaml'));
    await until('the end of the pod', async () => (await tasks()).length === 0);
    await until('its folder’s end', async () => (await readdir(join(dir, 'kubelet/pods'))).length === 0);
    await stopKubelet();
  });
});

describe('with an API server', () => {
  let plane: ControlPlane;
  let client: Client;
  const podStatus = (name: string, namespace = 'default') => client.resource(pods).find({ name, namespace });
  const eventsOf = async (name: string): Promise<CoreEvent[]> =>
    (await client.resource(coreEvents).list({ namespace: 'default' })).items.filter(
      ({ involvedObject }) => involvedObject.name === name,
    );
  const readyOf = (node: Node | undefined) => node?.status?.conditions?.find(({ type }) => type === 'Ready');
  const make = (name: string, spec: Partial<NonNullable<Pod['spec']>>) =>
    client.resource(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { terminationGracePeriodSeconds: 3, containers: [], ...spec },
    });

  beforeAll(async () => {
    plane = await startControlPlane({ components: ['controller-manager', 'scheduler'] });
    client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
    const text = (value: string) => Buffer.from(value).toString('base64');
    await client.resource(secrets).create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': text('abcdef'),
        'token-secret': text('0123456789abcdef'),
        'usage-bootstrap-authentication': text('true'),
      },
    });
    for (const [name, role] of [
      ['bootstrap', 'system:node-bootstrapper'],
      ['approve', 'system:certificates.k8s.io:certificatesigningrequests:nodeclient'],
    ] as const)
      await client.resource(clusterRoleBindings).create({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:bootstrappers' }],
      });
    await writeFile(
      join(dir, 'bootstrap.conf'),
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          { name: 'k', cluster: { server: plane.server, 'certificate-authority': join(plane.dir, 'ca.crt') } },
        ],
        users: [{ name: 'u', user: { token: 'abcdef.0123456789abcdef' } }],
        contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
        'current-context': 'c',
      }),
    );
    await writeManifest('fixed.yaml', manifest('mirrored'));
    startKubelet(`--kubeconfig=${dir}/kubelet.conf`, `--bootstrap-kubeconfig=${dir}/bootstrap.conf`);
  });

  afterAll(async () => {
    await stopKubelet();
    client?.close();
    await plane?.stop();
  });

  test('gets a certificate with its bootstrap token and registers', async () => {
    const node = await until('the node', () => client.resource(nodes).find({ name: 'n1' }));
    expect(node.metadata?.labels).toMatchObject({ 'kubernetes.io/hostname': 'n1', 'kubernetes.io/os': 'linux' });
    expect(node.status?.nodeInfo).toMatchObject({ kubeletVersion: 'v1.36.2', operatingSystem: 'linux' });
    const request = (await client.resource(certificateSigningRequests).list()).items.find(
      ({ spec }) => spec.signerName === 'kubernetes.io/kube-apiserver-client-kubelet',
    );
    expect(request?.spec).toMatchObject({
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      username: 'system:bootstrap:abcdef',
      usages: ['digital signature', 'client auth'],
    });
    expect(await readFile(join(dir, 'kubelet.conf'), 'utf8')).toContain(`${dir}/pki/kubelet-client-current.pem`);
    await until('the lease', () => client.resource(leases).find({ name: 'n1', namespace: 'kube-node-lease' }));
  });

  test('serves with a certificate of the cluster once somebody approved it', async () => {
    const requests = client.resource(certificateSigningRequests);
    const request = await until('a request for a serving certificate', async () =>
      (await requests.list()).items.find(({ spec }) => spec.signerName === 'kubernetes.io/kubelet-serving'),
    );
    expect(request.spec).toMatchObject({ username: 'system:node:n1', usages: ['digital signature', 'server auth'] });
    const approved = { type: 'Approved', status: 'True', reason: 'Test', message: 'by hand' };
    await requests.update({ ...request, status: { conditions: [approved] } }, { subresource: 'approval' });
    const issuer = () =>
      new Promise<string | undefined>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: ports.server, rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().issuer.CN));
          socket.destroy();
        });
        socket.once('error', () => resolve(undefined));
      });
    await until('the signed certificate', async () => (await issuer()) === 'kubernetes');
  });

  test('is not ready without a pod network, and ready soon after there is one', async () => {
    const before = await until('a condition', async () => readyOf(await client.resource(nodes).find({ name: 'n1' })));
    expect(before).toMatchObject({ status: 'False', reason: 'KubeletNotReady' });
    expect(before.message).toMatch(
      /^container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:/,
    );
    await writeFile(
      join(runtime.cniFolder, '10-test.conflist'),
      JSON.stringify({
        cniVersion: '0.4.0',
        name: 'test',
        plugins: [
          {
            type: 'ptp',
            ipam: { type: 'host-local', dataDir: `${dir}/ipam`, ranges: [[{ subnet: '10.199.7.0/24' }]] },
          },
        ],
      }),
    );
    const written = Date.now();
    await until('Ready', async () => readyOf(await client.resource(nodes).find({ name: 'n1' }))?.status === 'True');
    expect(Date.now() - written).toBeLessThan(8_000);
  });

  test('shows its static pods as mirror pods', async () => {
    const mirror = await until('a running mirror pod', async () => {
      const found = await podStatus('fixed-n1', 'kube-system');
      return found?.status?.phase === 'Running' && found.status.containerStatuses?.[0]?.ready ? found : undefined;
    });
    expect(mirror.metadata?.annotations?.['kubernetes.io/config.mirror']).toMatch(/^[0-9a-f]{32}$/);
    expect(mirror.metadata?.ownerReferences?.[0]).toMatchObject({ kind: 'Node', name: 'n1' });
    await client.resource(pods).delete({ name: 'fixed-n1', namespace: 'kube-system' }, { gracePeriodSeconds: 0 });
    await until('a new mirror pod', async () => {
      const again = await podStatus('fixed-n1', 'kube-system');
      return again !== undefined && again.metadata?.uid !== mirror.metadata?.uid;
    });
  });

  test('replaces a static pod whose manifest changes, and its mirror, with the status of the new one', async () => {
    const containerOf = async () => {
      const { status, spec } = (await podStatus('fixed-n1', 'kube-system')) ?? {};
      const [container] = status?.containerStatuses ?? [];
      return { word: /echo (\w+) /.exec(JSON.stringify({ spec }))?.[1], container };
    };
    const before = await until('the first container', async () => (await containerOf()).container?.containerID);
    await writeManifest('fixed.yaml', manifest('again'));
    await until('the changed pod runs', async () => {
      const { word, container } = await containerOf();
      return word === 'again' && container?.state?.running && container.containerID !== before;
    });
  });

  test('runs a pod until it is deleted', async () => {
    await make('web', {
      containers: [
        {
          name: 'main',
          image: busyboxImage,
          command: ['sh', '-c', `echo at $(IP); ${sleeper}`],
          env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
        },
      ],
    });
    const running = await until('a ready pod', async () => {
      const pod = await podStatus('web');
      return pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
        ? pod
        : undefined;
    });
    expect(running.status).toMatchObject({ phase: 'Running', qosClass: 'BestEffort' });
    expect(running.status?.podIP).toMatch(/^10\.199\.7\./);
    expect(await logOf('default_web_', 'main')).toContain(`at ${running.status?.podIP}`);
    await until('its events', async () => {
      const reasons = (await eventsOf('web')).map(({ reason }) => reason);
      return ['Scheduled', 'Pulled', 'Created', 'Started'].every((reason) => reasons.includes(reason));
    });
    await client.resource(pods).delete({ name: 'web', namespace: 'default' });
    await until('the end of the pod', async () => (await podStatus('web')) === undefined);
    expect(existsSync(join(dir, 'kubelet/pods', running.metadata?.uid ?? '-'))).toBe(false);
  });

  test('tells how pods ended, with their last words', async () => {
    await make('once', {
      restartPolicy: 'Never',
      initContainers: [{ name: 'side', image: busyboxImage, restartPolicy: 'Always', command: ['sh', '-c', sleeper] }],
      containers: [
        { name: 'good', image: busyboxImage, command: ['sh', '-c', 'echo well > /dev/termination-log'] },
        {
          name: 'bad',
          image: busyboxImage,
          command: ['sh', '-c', 'echo why; exit 3'],
          terminationMessagePolicy: 'FallbackToLogsOnError',
        },
      ],
    });
    const pod = await until('the failed pod', async () => {
      const found = await podStatus('once');
      return found?.status?.phase === 'Failed' ? found : undefined;
    });
    const stateOf = (name: string) =>
      pod.status?.containerStatuses?.find((status) => status.name === name)?.state?.terminated;
    expect(stateOf('good')).toMatchObject({ exitCode: 0, reason: 'Completed', message: 'well\n' });
    expect(stateOf('bad')).toMatchObject({ exitCode: 3, reason: 'Error', message: 'why\n' });
    await until('the end of its sidecar', async () => {
      const found = await podStatus('once');
      return found?.status?.initContainerStatuses?.[0]?.state?.terminated !== undefined;
    });
  });

  test('says why containers wait', async () => {
    await make('stuck', {
      containers: [
        { name: 'never', image: 'kinit.test/missing:1', imagePullPolicy: 'Never' },
        { name: 'wrong', image: 'Not A Name' },
        { name: 'unset', image: busyboxImage, envFrom: [{ configMapRef: { name: 'missing' } }] },
        { name: 'crash', image: busyboxImage, command: ['false'] },
      ],
    });
    const waiting = await until('all reasons', async () => {
      const statuses = (await podStatus('stuck'))?.status?.containerStatuses ?? [];
      const reasons = Object.fromEntries(
        statuses.map(({ name, state }) => [
          name,
          state?.waiting && `${state.waiting.reason}: ${state.waiting.message}`,
        ]),
      );
      return reasons['crash']?.startsWith('CrashLoopBackOff') && reasons['unset'] ? reasons : undefined;
    });
    expect(waiting['never']).toBe(
      'ErrImageNeverPull: Container image "kinit.test/missing:1" is not present with pull policy of Never',
    );
    expect(waiting['wrong']).toMatch(/^InvalidImageName: Failed to apply default image tag "Not A Name"/);
    expect(waiting['unset']).toBe('CreateContainerConfigError: configmap "missing" not found');
    expect(waiting['crash']).toMatch(
      /^CrashLoopBackOff: back-off [1248]0s restarting failed container=crash pod=stuck_default/,
    );
    await client.resource(pods).delete({ name: 'stuck', namespace: 'default' }, { gracePeriodSeconds: 0 });
  });
});
