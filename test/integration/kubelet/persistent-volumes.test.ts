/** Storage as a user has it: claims, pods and the local-path provisioner on a real control plane, kubelet and containerd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyObjects } from '../../../src/installer/addons/apply.ts';
import { nodeEntries, systemEntries } from '../../../src/installer/bundle/catalog.ts';
import { openDebianRoot } from '../../../src/installer/bundle/debian-root.ts';
import { file } from '../../../src/installer/bundle/layer.ts';
import { addImage, addLayer, createLayout, imageArchive } from '../../../src/installer/bundle/oci-layout.ts';
import { renderObjects } from '../../../src/installer/config/templates.ts';
import type { Deployment, Pod, UnknownObject } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  coreEvents,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { busyboxImage } from '../../images/build.ts';
import { startContainerd, type TestContainerd } from '../../parts/containerd.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { freePort } from '../../parts/free-port.ts';

const root = join(import.meta.dirname, '../../..');
const node = join(root, 'node_modules/.bin/node');
const cgroup = `kinit-volumes-${process.pid}`;
const namespace = 'default';
const helperImage = 'kinit.test/local-path-provisioner:1';

let dir: string;
let runtime: TestContainerd;
let plane: ControlPlane;
let client: Client;
const processes = new Map<string, ChildProcess>();

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; see ${dir}`);
    await delay(50);
  }
}

function start(name: string, args: string[]): void {
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(join(dir, `${name}.log`), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  processes.set(name, child);
}

async function end(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const child = processes.get(name);
  processes.delete(name);
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

/** The provisioner as the bundle has it. */
async function loadHelperImage(): Promise<void> {
  await execa(node, ['scripts/build.ts', 'local-path'], { cwd: root });
  const debian = await openDebianRoot(join(root, '.cache/bundle'), () => undefined);
  const layout = join(dir, 'layout');
  await createLayout(layout);
  await addImage(
    layout,
    helperImage,
    [
      await addLayer(layout, await systemEntries(debian)),
      await addLayer(layout, await nodeEntries(debian, join(root, 'node_modules/node/bin/node'))),
      await addLayer(layout, [
        file('main.mjs', join(root, 'dist/local-path/main.mjs')),
        file('package.json', join(root, 'dist/local-path/package.json')),
      ]),
    ],
    { Entrypoint: ['/usr/local/bin/node', '/main.mjs'], Env: ['PATH=/usr/local/bin'] },
  );
  const tar = join(dir, 'helper.tar');
  await pipeline(await imageArchive(layout, [helperImage]), createWriteStream(tar));
  await runtime.ctr('images', 'import', tar);
}

const storageNamespace = 'local-path-storage';
const isReady = ({ type, status }: { type: string; status: string }) => type === 'Ready' && status === 'True';
const provisioner = async (): Promise<Pod | undefined> =>
  (await client.resource(pods).list({ namespace: storageNamespace, labelSelector: 'app=local-path-provisioner' }))
    .items[0];
const helpers = async (): Promise<Pod[]> =>
  (await client.resource(pods).list({ namespace: storageNamespace, labelSelector: 'app=local-path-helper' })).items;

const startKubelet = () =>
  start('kubelet', [
    join(root, 'src/components/kubelet/main.ts'),
    `--config=${dir}/config.yaml`,
    `--root-dir=${dir}/kubelet`,
    `--cert-dir=${dir}/pki`,
    `--kubeconfig=${dir}/node.kubeconfig`,
    '--hostname-override=n1',
  ]);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinit-volumes-'));
  for (const folder of ['manifests', 'logs']) await mkdir(join(dir, folder));
  [runtime, plane] = await Promise.all([
    startContainerd(join(dir, 'c')),
    startControlPlane({ components: ['controller-manager', 'scheduler'] }),
  ]);
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await loadHelperImage();
  await writeFile(
    join(dir, 'config.yaml'),
    JSON.stringify({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      staticPodPath: `${dir}/manifests`,
      podLogsDir: `${dir}/logs`,
      containerRuntimeEndpoint: `unix://${runtime.socket}`,
      healthzPort: await freePort(),
      port: await freePort(),
      address: '127.0.0.1',
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${cgroup}`,
      failCgroupV1: false,
      failSwapOn: false,
      evictionHard: { 'memory.available': '1Mi' },
    }),
  );
  await writeFile(join(dir, 'node.kubeconfig'), await readFile(await plane.issue('system:node:n1', ['system:nodes'])));
  startKubelet();
  const objects = renderObjects('addons/local-path.yaml', {
    image: helperImage,
    directory: `${dir}/storage`,
    defaultClass: true,
  });
  // There is no pod network here: the provisioner's pod is in the host's.
  const deployment = objects.find(({ kind }) => kind === 'Deployment') as UnknownObject & Deployment;
  const spec = deployment.spec?.template.spec;
  const [container] = spec?.containers ?? [];
  if (!spec || !container) throw new Error('the add-on has no Deployment');
  const port = await freePort();
  spec.hostNetwork = true;
  spec.tolerations = [{ operator: 'Exists' }];
  container.args?.push(`--healthz-bind-address=127.0.0.1:${port}`);
  container.env?.push(
    { name: 'KUBERNETES_SERVICE_HOST', value: '127.0.0.1' },
    { name: 'KUBERNETES_SERVICE_PORT', value: String(plane.port) },
  );
  for (const probe of [container.livenessProbe, container.readinessProbe])
    if (probe?.httpGet) Object.assign(probe.httpGet, { host: '127.0.0.1', port });
  if (container.readinessProbe) container.readinessProbe.periodSeconds = 1;
  await applyObjects(client, objects);
  await until('the node', () => client.resource(nodes).find({ name: 'n1' }));
  // Without a pod network a node is never ready; pods of the host's network run all the same.
  await until('the provisioner', async () => (await provisioner())?.status?.conditions?.some(isReady));
}, 120_000);

afterAll(async () => {
  await end('kubelet');
  await runtime?.stop();
  client?.close();
  await plane?.stop();
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1])
    .filter((path): path is string => path?.startsWith(`${dir}/`) ?? false);
  for (const path of mounts.reverse()) await execa('umount', ['-l', path], { reject: false });
  const groups = ['/sys/fs/cgroup', '-depth', '-type', 'd', '-path', `*/${cgroup}*`, '-exec', 'rmdir', '{}', ';'];
  await execa('find', groups, { reject: false });
  await rm(dir, { recursive: true, force: true });
});

const makeClaim = (name: string, more: object = {}) =>
  client.resource(persistentVolumeClaims).create({
    metadata: { namespace, name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...more },
  });
const claimNow = (name: string) => client.resource(persistentVolumeClaims).find({ namespace, name });
const podNow = (name: string) => client.resource(pods).find({ namespace, name });
const volumeNow = (name: string) => client.resource(persistentVolumes).find({ name });
const hasEvent = async (name: string, reason: string, text: string) =>
  (await client.resource(coreEvents).list({ namespace })).items.some(
    (event) => event.involvedObject.name === name && event.reason === reason && event.message?.includes(text),
  );

/** Runs a shell line as an ordinary user with the claim's volume at /data. */
const makePod = (name: string, claimName: string, line: string, more: Partial<NonNullable<Pod['spec']>> = {}) =>
  client.resource(pods).create({
    metadata: { namespace, name },
    spec: {
      hostNetwork: true,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: 'Exists' }],
      securityContext: { runAsUser: 1234, fsGroup: 4242 },
      containers: [
        {
          name: 'main',
          image: busyboxImage,
          command: ['sh', '-c', line],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
      ...more,
    },
  });
const sleeper = 'trap "exit 0" TERM; while :; do sleep 0.2; done';
const succeeded = (name: string) =>
  until(`${name} to succeed`, async () => {
    const phase = (await podNow(name))?.status?.phase;
    if (phase === 'Failed') throw new Error(`pod ${name} failed`);
    return phase === 'Succeeded';
  });
const removePod = async (name: string) => {
  await client.resource(pods).delete({ namespace, name });
  await until(`${name} to go`, async () => !(await podNow(name)));
};
const folders = () => (existsSync(join(dir, 'storage')) ? readdir(join(dir, 'storage')) : Promise.resolve([]));

test('a claim without a class gets a directory of the node on which its first pod runs, and keeps it for the next', async () => {
  const made = await makeClaim('data');
  expect(made.spec?.storageClassName).toBe('local-path');
  await until('the claim to wait', () => hasEvent('data', 'WaitForFirstConsumer', 'waiting for first consumer'));
  expect(await folders()).toEqual([]);

  await makePod('writer', 'data', 'id -G | grep -qw 4242 && echo dear > /data/file');
  await succeeded('writer');
  const claim = await claimNow('data');
  expect(claim?.metadata?.annotations).toMatchObject({
    'volume.kubernetes.io/selected-node': 'n1',
    'volume.kubernetes.io/storage-provisioner': 'kinit.local/local-path',
    'pv.kubernetes.io/bind-completed': 'yes',
  });
  expect(claim?.status).toMatchObject({ phase: 'Bound', capacity: { storage: '1Gi' } });
  const volume = await volumeNow(claim?.spec?.volumeName ?? '');
  const [folder = ''] = await folders();
  expect(folder).toBe(`pvc-${made.metadata?.uid}_default_data`);
  expect(volume?.spec?.local?.path).toBe(join(dir, 'storage', folder));
  expect(await readFile(join(dir, 'storage', folder, 'file'), 'utf8')).toBe('dear\n');
  expect(await hasEvent('data', 'ProvisioningSucceeded', 'Successfully provisioned volume')).toBe(true);
  await until('the helper to go', async () => (await helpers()).length === 0);
  await removePod('writer');

  await makePod('reader', 'data', `grep -q dear /data/file && ${sleeper}`);
  const phase = () => podNow('reader').then((pod) => pod?.status?.phase);
  await until('the reader', async () => (await phase()) === 'Running');
});

test('kubelet and provisioner may be killed at any time: pods and volumes are left alone, and work goes on', async () => {
  const before = (await podNow('reader'))?.status?.containerStatuses?.[0]?.containerID;
  await end('kubelet', 'SIGKILL');
  await makeClaim('other');
  await makePod('after', 'other', 'touch /data/x');
  await until('a helper', async () => (await helpers()).length === 1);
  const id = (await provisioner())?.status?.containerStatuses?.[0]?.containerID?.replace('containerd://', '') ?? '';
  await runtime.ctr('tasks', 'kill', '--signal', 'SIGKILL', id);
  startKubelet();
  await succeeded('after');
  expect((await podNow('reader'))?.status).toMatchObject({
    phase: 'Running',
    containerStatuses: [{ containerID: before, restartCount: 0 }],
  });
  await removePod('after');
});

test('a claim in use is protected; once it is gone its volume and directory go too', async () => {
  const volumeName = (await claimNow('data'))?.spec?.volumeName ?? '';
  await client.resource(persistentVolumeClaims).delete({ namespace, name: 'data' });
  expect((await claimNow('data'))?.metadata?.deletionTimestamp).toBeDefined();
  expect((await folders()).some((name) => name.startsWith(volumeName))).toBe(true);
  await removePod('reader');
  await until('the claim to go', async () => !(await claimNow('data')));
  await until('the volume to go', async () => !(await volumeNow(volumeName)));
  expect((await folders()).some((name) => name.startsWith(volumeName))).toBe(false);
  expect(await folders()).toHaveLength(1);
});

test('what cannot be provided is told, and a pod on a node of its own choice waits with upstream’s words', async () => {
  await makeClaim('shared', { accessModes: ['ReadWriteMany'] });
  await makePod('sharer', 'shared', 'true');
  await until('the refusal', () =>
    hasEvent(
      'shared',
      'ProvisioningFailed',
      'access mode ReadWriteMany is not supported: the directory is on one node',
    ),
  );
  await makeClaim('static', { storageClassName: '' });
  await makePod('bypass', 'static', 'true', { nodeName: 'n1' });
  await until('the mount to fail', () =>
    hasEvent('bypass', 'FailedMount', 'error processing PVC default/static: PVC is not bound'),
  );
  await client.resource(persistentVolumes).create({
    metadata: { name: 'by-hand' },
    spec: {
      capacity: { storage: '2Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: join(dir, 'by-hand'), type: 'DirectoryOrCreate' },
    },
  });
  await succeeded('bypass');
  expect((await volumeNow('by-hand'))?.status?.phase).toBe('Bound');
  await client.resource(pods).delete({ namespace, name: 'sharer' });
});
