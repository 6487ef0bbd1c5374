import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolder, removeFolder } from '../../../src/components/local-path/folder.ts';
import { helperPod, outcomeOf, taskOf, volumeOf } from '../../../src/components/local-path/helper-pods.ts';
import {
  finalizer,
  folderNameOf,
  isOurs,
  isToRemove,
  nodeOf,
  refusal,
  volumeFor,
} from '../../../src/components/local-path/volumes.ts';
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../../src/machinery/api/types.ts';

const provisioner = 'kinit.local/local-path';
const settings = { provisioner, directory: '/srv/volumes', namespace: 'local', image: 'i' };
const claim = (spec: object = {}, annotations = {}, metadata: object = {}): PersistentVolumeClaim => ({
  metadata: {
    namespace: 'ns',
    name: 'c',
    uid: 'u',
    annotations: { 'volume.kubernetes.io/storage-provisioner': provisioner, ...annotations },
    ...metadata,
  },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    storageClassName: 'lp',
    ...spec,
  },
});
const storageClass = (more: Partial<StorageClass> = {}): StorageClass => ({
  metadata: { name: 'lp' },
  provisioner,
  volumeBindingMode: 'WaitForFirstConsumer',
  ...more,
});
const node = (name: string, hostname = name): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': hostname } },
});

describe('a claim', () => {
  it.each<[string, PersistentVolumeClaim, boolean]>([
    ['that waits for this provisioner', claim(), true],
    ['that has its volume', claim({ volumeName: 'pv' }), false],
    ['that is being deleted', claim({}, {}, { deletionTimestamp: 'now' }), false],
    ['of somebody else', claim({}, { 'volume.kubernetes.io/storage-provisioner': 'a.b/c' }), false],
  ])('%s: %s', (_case, given, expected) => {
    expect(isOurs(given, provisioner)).toBe(expected);
  });

  it.each<[object, Partial<StorageClass>, RegExp | undefined]>([
    [{}, {}, undefined],
    [{ accessModes: ['ReadWriteOncePod'] }, {}, undefined],
    [{}, { volumeBindingMode: 'Immediate' }, /^volumeBindingMode of the class must be WaitForFirstConsumer/],
    [{}, { parameters: { path: '/x' } }, /^unknown parameter "path"/],
    [{ selector: {} }, {}, /^claim\.Spec\.Selector is not supported$/],
    [{ volumeMode: 'Block' }, {}, /^volumeMode Block is not supported$/],
    [{ accessModes: ['ReadOnlyMany'] }, {}, /^access mode ReadOnlyMany is not supported/],
    [{ dataSource: { kind: 'PersistentVolumeClaim', name: 'x' } }, {}, /^dataSource is not supported$/],
  ])('%j of a class %j is refused with %s', (spec, ofClass, why) => {
    const found = refusal(claim(spec), storageClass(ofClass));
    if (why) expect(found).toMatch(why);
    else expect(found).toBeUndefined();
  });

  it('gets a volume that can be used on its node only, and is the claim’s already', () => {
    const volume = volumeFor(claim(), storageClass(), node('n1', 'host-1'), settings);
    expect(volume.metadata).toEqual({
      name: 'pvc-u',
      annotations: { 'pv.kubernetes.io/provisioned-by': provisioner },
      finalizers: ['external-provisioner.volume.kubernetes.io/finalizer'],
    });
    expect(volume.spec).toMatchObject({
      capacity: { storage: '1Gi' },
      persistentVolumeReclaimPolicy: 'Delete',
      claimRef: { namespace: 'ns', name: 'c', uid: 'u' },
      local: { path: '/srv/volumes/pvc-u_ns_c' },
    });
    expect(nodeOf(volume, [node('n2'), node('n1', 'host-1')])?.metadata?.name).toBe('n1');
    expect(nodeOf(volume, [node('n2')])).toBeUndefined();
    expect(folderNameOf(volume, settings.directory)).toBe('pvc-u_ns_c');
    const kept = volumeFor(claim(), storageClass({ reclaimPolicy: 'Retain' }), node('n1'), settings);
    expect(kept.metadata?.finalizers).toBeUndefined();
  });
});

describe('a volume', () => {
  const volume = (phase: string, spec: object = {}, metadata: object = {}): PersistentVolume => ({
    metadata: { annotations: { 'pv.kubernetes.io/provisioned-by': provisioner }, ...metadata },
    spec: { persistentVolumeReclaimPolicy: 'Delete', local: { path: '/srv/volumes/x' }, ...spec },
    status: { phase },
  });
  it.each<[string, PersistentVolume, boolean]>([
    ['in use', volume('Bound'), false],
    ['in use and being deleted', volume('Bound', {}, { deletionTimestamp: 'now' }), false],
    ['given back', volume('Released'), true],
    ['never used and deleted', volume('Available', {}, { deletionTimestamp: 'now', finalizers: [finalizer] }), true],
    [
      'removed already and kept by others',
      volume('Released', {}, { deletionTimestamp: 'now', finalizers: ['a/b'] }),
      false,
    ],
    ['given back, to be kept', volume('Released', { persistentVolumeReclaimPolicy: 'Retain' }), false],
    ['of somebody else', volume('Released', {}, { annotations: {} }), false],
    ['that somebody made in our name, of another kind', volume('Released', { local: undefined }), false],
  ])('%s is to be removed: %s', (_case, given, expected) => {
    expect(isToRemove(given, provisioner)).toBe(expected);
  });

  it.each(['/srv/volumes', '/srv/volumes/', '/srv/volumes/a/b', '/etc', '/srv/volumes-2/x'])(
    'at %s is not ours to touch',
    (path) => {
      expect(() => folderNameOf(volume('Released', { local: { path } }), '/srv/volumes')).toThrow(
        'is not in /srv/volumes',
      );
    },
  );
});

describe('a helper', () => {
  const volume = volumeFor(claim(), storageClass(), node('n1'), settings);
  const pod = helperPod('make', volume, 'pvc-u_ns_c', 'n1', settings);
  const at = (status: Pod['status']): Pod => ({
    ...pod,
    metadata: { ...pod.metadata, creationTimestamp: '2026-01-01T00:00:00Z' },
    ...(status ? { status } : {}),
  });
  const second = (n: number) => Date.parse('2026-01-01T00:00:00Z') + n * 1000;

  it('carries what it was sent for, and sees no more of the node than the one directory', () => {
    expect([taskOf(pod), volumeOf(pod)]).toEqual(['make', volume]);
    expect(pod.spec?.volumes).toEqual([
      { name: 'storage', hostPath: { path: '/srv/volumes', type: 'DirectoryOrCreate' } },
    ]);
    expect(pod.spec?.containers[0]?.args).toEqual(['--task=make', '--root=/storage', '--folder=pvc-u_ns_c']);
  });

  it.each<[string, Pod['status'], number, object]>([
    ['has not begun', { phase: 'Pending' }, 60, { state: 'busy' }],
    ['has ended well', { phase: 'Succeeded' }, 500, { state: 'done' }],
    [
      'is on a node that does not answer',
      { phase: 'Pending' },
      121,
      { state: 'failed', message: 'node n1 did not run the helper in time', endedMs: second(120) },
    ],
    [
      'has failed',
      {
        phase: 'Failed',
        containerStatuses: [
          {
            name: 'helper',
            image: '',
            imageID: '',
            ready: false,
            restartCount: 0,
            state: { terminated: { exitCode: 1, message: 'EROFS\n', finishedAt: '2026-01-01T00:00:05Z' } },
          },
        ],
      },
      6,
      { state: 'failed', message: 'EROFS', endedMs: second(5) },
    ],
  ])('that %s', (_case, status, after, expected) => {
    expect(outcomeOf(at(status), second(after))).toEqual(expected);
  });
});

describe('the directory of a volume', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kinit-local-path-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('is made for every user of pods and none of the host, and removed without following links', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'kinit-outside-'));
    writeFileSync(join(outside, 'kept'), '');
    await makeFolder(root, 'v');
    await makeFolder(root, 'v');
    expect(statSync(root).mode & 0o7777).toBe(0o700);
    expect(statSync(join(root, 'v')).mode & 0o7777).toBe(0o777);
    symlinkSync(outside, join(root, 'v/link'));
    await removeFolder(root, 'v');
    await removeFolder(root, 'v');
    expect(await readdir(root)).toEqual([]);
    symlinkSync(outside, join(root, 'w'));
    await expect(makeFolder(root, 'w')).rejects.toThrow('w is there and is no directory');
    await removeFolder(root, 'w');
    expect(await readdir(outside)).toEqual(['kept']);
    rmSync(outside, { recursive: true });
  });

  it.each(['', '.', '..', '../x', 'a/b', '/etc', '.hidden'])('"%s" is no name for one', async (name) => {
    await expect(makeFolder(root, name)).rejects.toThrow("is no name of a volume's directory");
    await expect(removeFolder(root, name)).rejects.toThrow("is no name of a volume's directory");
  });
});
