/** Volumes with real mounts; needs root. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VolumeSetup } from '../../../src/components/kubelet/types.ts';
import { mountPoints } from '../../../src/components/kubelet/volumes/mount-table.ts';
import { createVolumeSetup } from '../../../src/components/kubelet/volumes/setup.ts';
import type { Container, Pod, Volume } from '../../../src/machinery/api/types.ts';
import { base64, type GivenObjects, givenObjects } from '../../unit/kubelet/given-objects.ts';

let rootDir: string;
let objects: GivenObjects;
let volumes: VolumeSetup;

beforeEach(() => {
  rootDir = mkdtempSync(join(tmpdir(), 'kinit-kubelet-'));
  objects = givenObjects({ 'ns/conf': { data: { a: '1' } } }, { 'ns/hidden': { data: { key: base64('value') } } });
  volumes = createVolumeSetup({
    rootDir,
    objects,
    nodeName: 'n1',
    clusterDomain: 'cluster.local',
    hostIps: () => [],
    node: () => ({ metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } } }),
    nodeAllocatable: () => ({ memory: '1Gi' }),
  });
});

afterEach(async () => {
  for (const uid of await volumes.podUids()) await volumes.tearDown(uid);
  expect((await mountPoints()).filter((path) => path.startsWith(rootDir))).toEqual([]);
  rmSync(rootDir, { recursive: true });
});

const podWith = (given: Volume[], container: Partial<Container> = {}, fsGroup?: number): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'uid-1' },
  spec: {
    volumes: given,
    containers: [{ name: 'c', ...container }],
    ...(fsGroup === undefined ? {} : { securityContext: { fsGroup } }),
  },
});
const podDir = () => join(rootDir, 'pods/uid-1');
const fileSystem = (path: string) => execFileSync('stat', ['-f', '-c', '%T', path], { encoding: 'utf8' }).trim();

describe('volumes of a pod', () => {
  it('are made where upstream has them, secrets in memory only, and removed without a trace', async () => {
    const pod = podWith(
      [
        { name: 'scratch', emptyDir: {} },
        { name: 'mem', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'conf', configMap: { name: 'conf' } },
        { name: 'hidden', secret: { secretName: 'hidden', defaultMode: 0o400 } },
      ],
      {},
      4242,
    );
    await volumes.setUp(pod);
    await volumes.setUp(pod);
    const at = (plugin: string, name: string) => join(podDir(), 'volumes', `kubernetes.io~${plugin}`, name);
    expect(statSync(at('empty-dir', 'scratch')).mode & 0o7777).toBe(0o2777);
    expect(statSync(at('empty-dir', 'scratch')).gid).toBe(4242);
    expect(fileSystem(at('empty-dir', 'mem'))).toBe('tmpfs');
    expect(() => writeFileSync(join(at('empty-dir', 'mem'), 'big'), Buffer.alloc(2 << 20))).toThrow('ENOSPC');
    expect(fileSystem(at('secret', 'hidden'))).toBe('tmpfs');
    const key = statSync(join(at('secret', 'hidden'), 'key'));
    expect([key.mode & 0o777, key.gid]).toEqual([0o440, 4242]);
    expect(fileSystem(at('configmap', 'conf'))).not.toBe('tmpfs');

    objects.configMaps['ns/conf'] = { data: { a: '2' } };
    await volumes.setUp(pod);
    expect(readFileSync(join(at('configmap', 'conf'), 'a'), 'utf8')).toBe('2');
    expect(statSync(at('configmap', 'conf')).mode & 0o7777).toBe(0o2777);

    await volumes.tearDown('uid-1');
    expect(existsSync(podDir())).toBe(false);
  });

  it('fail one by one with the text of the FailedMount event', async () => {
    const failed = await volumes
      .setUp(
        podWith([
          { name: 'x', configMap: { name: 'y' } },
          { name: 'ok', emptyDir: {} },
        ]),
      )
      .catch((error: Error) => error);
    expect((failed as Error).message).toBe('MountVolume.SetUp failed for volume "x" : configmap "y" not found');
    expect(existsSync(join(podDir(), 'volumes/kubernetes.io~empty-dir/ok'))).toBe(true);
  });
});

it('volumes that cannot be renewed keep what they have', async () => {
  const pod = podWith([{ name: 'conf', configMap: { name: 'conf' } }]);
  expect(await volumes.setUp(pod)).toEqual([]);
  delete objects.configMaps['ns/conf'];
  const text = 'MountVolume.SetUp failed for volume "conf" : configmap "conf" not found';
  expect(await volumes.setUp(pod)).toEqual([text]);
  expect(readFileSync(join(podDir(), 'volumes/kubernetes.io~configmap/conf/a'), 'utf8')).toBe('1');
});

describe('volumes of claims', () => {
  const claimed: Volume = { name: 'data', persistentVolumeClaim: { claimName: 'c1' } };
  const bound = (uid = 'claim-uid') => {
    objects.claims['ns/c1'] = {
      metadata: { name: 'c1', namespace: 'ns', uid: 'claim-uid' },
      spec: { volumeName: 'pv1' },
      status: { phase: 'Bound' },
    };
    return { namespace: 'ns', name: 'c1', uid };
  };
  const onNode = (name: string) => ({
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
    },
  });
  const problemOf = (pod: Pod) =>
    volumes.setUp(pod).then(
      () => 'none',
      (error: Error) => error.message,
    );
  let data: string;

  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), 'kinit-data-'));
    writeFileSync(join(data, 'kept'), 'dear');
  });
  afterEach(async () => {
    await volumes.tearDown('uid-1');
    // Whatever a test did with its pod: the data is never the pod's to remove.
    expect(readFileSync(join(data, 'kept'), 'utf8')).toBe('dear');
    rmSync(data, { recursive: true });
  });

  it('wait, with the text of the FailedMount event, until claim and volume belong together', async () => {
    const pod = podWith([claimed, { name: 'ok', emptyDir: {} }]);
    const why = (text: string) =>
      `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[data]: ${text}`;
    const claim = (text: string) => why(`error processing PVC ns/c1: ${text}`);
    expect(await problemOf(pod)).toBe(
      claim('failed to fetch PVC from API server: persistentvolumeclaims "c1" not found'),
    );
    expect(existsSync(join(podDir(), 'volumes/kubernetes.io~empty-dir/ok'))).toBe(true);
    objects.claims['ns/c1'] = { metadata: { name: 'c1', uid: 'claim-uid' }, status: { phase: 'Pending' } };
    expect(await problemOf(pod)).toBe(claim('PVC is not bound'));
    const claimRef = bound('another');
    objects.volumes['pv1'] = { spec: { claimRef } };
    expect(await problemOf(pod)).toBe(
      claim('found PV object pv1 but its pv.Spec.ClaimRef.UID another does not point to claim.UID claim-uid'),
    );
    objects.volumes['pv1'] = { spec: { claimRef: bound(), local: { path: data }, nodeAffinity: onNode('n2') } };
    expect(await problemOf(pod)).toBe(
      why('MountVolume.NodeAffinity check failed for volume "pv1" : no matching NodeSelectorTerms'),
    );
    objects.volumes['pv1'] = { spec: { claimRef: bound(), local: { path: `${data}/none` } } };
    expect(await problemOf(pod)).toBe(`MountVolume.SetUp failed for volume "pv1" : path "${data}/none" does not exist`);
  });

  it('of type local are bound into the pod, given to its group, and stay through restarts until it is gone', async () => {
    objects.volumes['pv1'] = { spec: { claimRef: bound(), local: { path: data }, nodeAffinity: onNode('n1') } };
    const pod = podWith([claimed], { volumeMounts: [{ name: 'data', mountPath: '/d', subPath: 'sub' }] }, 4242);
    expect(await volumes.setUp(pod)).toEqual([]);
    const mounted = join(podDir(), 'volumes/kubernetes.io~local-volume/pv1');
    expect(await mountPoints()).toContain(mounted);
    expect([statSync(data).gid, statSync(data).mode & 0o7777]).toEqual([4242, 0o2770]);
    const [mount] = await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    expect([mount?.containerPath, mount?.readonly]).toEqual(['/d', false]);
    writeFileSync(join(mount?.hostPath ?? '', 'new'), 'x');
    expect(readFileSync(join(data, 'sub/new'), 'utf8')).toBe('x');

    // A kubelet that starts while neither claim nor API server are there.
    objects.claims = {};
    delete objects.volumes['pv1'];
    expect(await volumes.setUp(pod)).toEqual([]);

    // The node has been restarted, or the kubelet was killed half-way.
    execFileSync('umount', [mounted]);
    expect(await volumes.setUp(pod)).toEqual([]);
    rmSync(join(podDir(), 'plugins/kubernetes.io~local-volume/pv1/ready'));
    expect(await volumes.setUp(pod)).toEqual([]);
    expect((await mountPoints()).filter((path) => path === mounted)).toHaveLength(1);
    await volumes.tearDown('uid-1');
    expect(existsSync(podDir())).toBe(false);
  });

  it('are read-only for a pod that asks for it, and keep their owner', async () => {
    objects.volumes['pv1'] = { spec: { claimRef: bound(), local: { path: data } } };
    const readOnly = { ...claimed, persistentVolumeClaim: { claimName: 'c1', readOnly: true } };
    const pod = podWith([readOnly], { volumeMounts: [{ name: 'data', mountPath: '/d' }] }, 4242);
    await volumes.setUp(pod);
    const [mount] = await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    expect(mount?.readonly).toBe(true);
    expect(() => writeFileSync(join(mount?.hostPath ?? '', 'new'), 'x')).toThrow('EROFS');
    expect(statSync(data).gid).not.toBe(4242);
  });

  it('are mounted once for two volumes of a pod, one of them read-only', async () => {
    objects.volumes['pv1'] = { spec: { claimRef: bound(), local: { path: data } } };
    const reading = { name: 'reading', persistentVolumeClaim: { claimName: 'c1', readOnly: true } };
    const volumeMounts = ['data', 'reading'].map((name) => ({ name, mountPath: `/${name}` }));
    const pod = podWith([reading, claimed], { volumeMounts });
    expect(await volumes.setUp(pod)).toEqual([]);
    expect((await mountPoints()).filter((path) => path.startsWith(podDir()))).toHaveLength(1);
    const [written, read] = await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    expect([written?.readonly, read?.readonly]).toEqual([false, true]);
    expect(written?.hostPath).toBe(read?.hostPath);
    writeFileSync(join(written?.hostPath ?? '', 'new'), 'x');
  });

  it('of type hostPath are the path itself', async () => {
    objects.volumes['pv1'] = {
      spec: { claimRef: bound(), hostPath: { path: `${data}/made`, type: 'DirectoryOrCreate' } },
    };
    const pod = podWith([claimed], { volumeMounts: [{ name: 'data', mountPath: '/d' }] }, 4242);
    await volumes.setUp(pod);
    const [mount] = await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    expect([mount?.hostPath, mount?.readonly, mount?.selinuxRelabel]).toEqual([`${data}/made`, false, false]);
    expect(statSync(`${data}/made`).gid).not.toBe(4242);
    // Somebody moves it away under the pod that runs.
    rmSync(`${data}/made`, { recursive: true });
    await volumes.setUp(pod, { running: true });
    expect(existsSync(`${data}/made`)).toBe(false);
  });

  it('that are paths of the host are not made again for a pod that runs', async () => {
    const hostPath = { path: `${data}/config`, type: 'FileOrCreate' };
    const pod = podWith([{ name: 'config', hostPath }], { volumeMounts: [{ name: 'config', mountPath: '/c' }] });
    await volumes.setUp(pod);
    expect(readFileSync(hostPath.path, 'utf8')).toBe('');
    rmSync(hostPath.path);
    await volumes.setUp(pod, { running: true });
    expect(existsSync(hostPath.path)).toBe(false);
  });
});

describe('mounts of a container', () => {
  it('carry volumes, sub paths, the hosts file and a new termination log each time', async () => {
    const pod = podWith(
      [
        { name: 'v', emptyDir: {} },
        { name: 'conf', configMap: { name: 'conf' } },
      ],
      {
        terminationMessagePath: '/dev/termination-log',
        volumeMounts: [
          { name: 'v', mountPath: '/data', mountPropagation: 'HostToContainer' },
          { name: 'v', mountPath: '/logs', subPathExpr: '$(NAME)/logs', readOnly: true },
          { name: 'conf', mountPath: '/etc/a', subPath: 'a' },
        ],
      },
    );
    await volumes.setUp(pod);
    const container = pod.spec?.containers[0] as Container;
    const ask = () => volumes.mounts(pod, container, ['10.0.0.1'], [{ name: 'NAME', value: 'web' }]);
    const mounts = await ask();
    expect(mounts.map(({ containerPath }) => containerPath)).toEqual([
      '/data',
      '/logs',
      '/etc/a',
      '/etc/hosts',
      '/dev/termination-log',
    ]);
    expect(mounts[0]).toMatchObject({ readonly: false, propagation: 'PROPAGATION_HOST_TO_CONTAINER' });
    expect(mounts[1]).toMatchObject({ readonly: true, hostPath: join(podDir(), 'volume-subpaths/v/c/1') });
    writeFileSync(join(mounts[1]?.hostPath ?? '', 'file'), 'x');
    expect(readFileSync(join(mounts[0]?.hostPath ?? '', 'web/logs/file'), 'utf8')).toBe('x');
    expect(readFileSync(mounts[2]?.hostPath ?? '', 'utf8')).toBe('1');
    expect(readFileSync(mounts[3]?.hostPath ?? '', 'utf8')).toContain('10.0.0.1\tp\n');

    // A container that starts again sees what its sub path is by then.
    objects.configMaps['ns/conf'] = { data: { a: '2' } };
    await volumes.setUp(pod);
    const again = await ask();
    expect(readFileSync(again[2]?.hostPath ?? '', 'utf8')).toBe('2');
    expect(again[4]?.hostPath).not.toBe(mounts[4]?.hostPath);
    expect((await mountPoints()).filter((path) => path.startsWith(join(podDir(), 'volume-subpaths'))).length).toBe(2);
  });

  it.each([
    ['an absolute link out of the volume', '/etc'],
    ['a relative link out of the volume', '../../../../../..'],
  ])('refuse %s', async (_, target) => {
    const pod = podWith([{ name: 'v', emptyDir: {} }], {
      volumeMounts: [{ name: 'v', mountPath: '/x', subPath: 'link/passwd' }],
    });
    await volumes.setUp(pod);
    symlinkSync(target, join(podDir(), 'volumes/kubernetes.io~empty-dir/v/link'));
    const refused = volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    await expect(refused).rejects.toThrow(/failed to prepare subPath.*outside of allowed base/);
  });

  it('follow links inside the volume', async () => {
    const pod = podWith([{ name: 'v', emptyDir: {} }], {
      volumeMounts: [{ name: 'v', mountPath: '/x', subPath: 'link' }],
    });
    await volumes.setUp(pod);
    const volume = join(podDir(), 'volumes/kubernetes.io~empty-dir/v');
    mkdirSync(join(volume, 'real'));
    writeFileSync(join(volume, 'real/file'), 'inside');
    symlinkSync('real', join(volume, 'link'));
    const [mount] = await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    expect(readFileSync(join(mount?.hostPath ?? '', 'file'), 'utf8')).toBe('inside');
  });

  it('of a host path below which something lives survive the tear-down', async () => {
    const host = mkdtempSync(join(tmpdir(), 'kinit-host-path-'));
    mkdirSync(join(host, 'sub'));
    writeFileSync(join(host, 'sub/precious'), 'x');
    const pod = podWith([{ name: 'h', hostPath: { path: host, type: 'Directory' } }], {
      volumeMounts: [{ name: 'h', mountPath: '/x', subPath: 'sub' }],
    });
    await volumes.setUp(pod);
    await volumes.mounts(pod, pod.spec?.containers[0] as Container, []);
    await volumes.tearDown('uid-1');
    expect(readFileSync(join(host, 'sub/precious'), 'utf8')).toBe('x');
  });
});
