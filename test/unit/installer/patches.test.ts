/** Patch files of `--patches`. */
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { controlPlaneManifest } from '../../../src/installer/control-plane/static-pods.ts';
import { applyPatches, parsePatchName, patchText, readPatches } from '../../../src/installer/patches/patches.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const config = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.11' }, []);
const patchesOf = (files: Record<string, string>) =>
  readPatches(
    scratchHost(scratchRoot(Object.fromEntries(Object.entries(files).map(([name, text]) => [`/p/${name}`, text])))),
    '/p',
  );

interface Pod {
  metadata: { labels: Record<string, string> };
  spec: {
    priorityClassName?: string;
    containers: { name: string; image: string; env?: { name: string; value: string }[]; resources: object }[];
    volumes: { name: string }[];
  };
}

describe('the name of a patch file', () => {
  it.each([
    ['kube-apiserver.yaml', 'kube-apiserver', 'strategic'],
    ['kube-apiserver0+merge.yaml', 'kube-apiserver', 'merge'],
    ['etcd+json.json', 'etcd', 'json'],
    ['kubeletconfiguration1+strategic.yaml', 'kubeletconfiguration', 'strategic'],
    ['corednsdeployment.json', 'corednsdeployment', 'strategic'],
  ])('%s is for %s, type %s', (name, target, type) => expect(parsePatchName(name)).toEqual({ target, type }));
  it.each(['README.md', 'kube-apiserver.yml', 'kube-apiserver'])('%s is no patch', (name) =>
    expect(parsePatchName(name)).toBeUndefined(),
  );
  it.each([
    ['kube-apisever.yaml', 'did you mean kube-apiserver?'],
    ['etcd+strategc.yaml', 'did you mean strategic?'],
  ])('%s is refused: %s', (name, advice) =>
    expect(() => parsePatchName(name)).toThrow(
      expect.objectContaining({ code: 'Validation', details: expect.objectContaining({ advice }) }),
    ),
  );
});

describe('patches', () => {
  it('of the three types apply to a static pod in the order of their names', async () => {
    const files = await patchesOf({
      'kube-scheduler0.yaml':
        'spec:\n  containers:\n  - name: kube-scheduler\n    env:\n    - {name: A, value: "1"}\n  volumes:\n  - {name: extra, emptyDir: {}}\n',
      'kube-scheduler1+merge.yaml': 'metadata:\n  labels:\n    tier: null\n    team: blue\n',
      'kube-scheduler2+json.json':
        '[{"op":"replace","path":"/metadata/labels/team","value":"red"},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"B","value":"2"}}]',
      'kube-apiserver.yaml': 'metadata: {labels: {other: "1"}}\n',
    });
    const text = controlPlaneManifest('kube-scheduler', config, []);
    const before = load(text) as Pod;
    const after = load(patchText('kube-scheduler', text, files)) as Pod;
    expect(after.metadata.labels).toEqual({ component: 'kube-scheduler', team: 'red' });
    expect(after.spec.containers).toHaveLength(1);
    expect(after.spec.containers[0]).toEqual({
      ...before.spec.containers[0],
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    });
    expect(after.spec.volumes.map(({ name }) => name).sort()).toEqual(['extra', 'kubeconfig']);
  });
  it('of other targets leave a manifest byte for byte', async () => {
    const text = controlPlaneManifest('kube-scheduler', config, []);
    expect(patchText('kube-scheduler', text, await patchesOf({ 'etcd.yaml': 'metadata: {}\n' }))).toBe(text);
  });
  it('in several documents of one file apply one after the other', async () => {
    const files = await patchesOf({
      'kubeletconfiguration.yaml': 'maxPods: 10\n---\nmaxPods: 11\nclusterDNS: [9.9.9.9]\n',
    });
    expect(applyPatches('kubeletconfiguration', { clusterDNS: ['10.96.0.10'], port: 1 }, files)).toEqual({
      clusterDNS: ['9.9.9.9'],
      maxPods: 11,
      port: 1,
    });
  });
  it('name the file that is broken or does not fit', async () => {
    await expect(patchesOf({ 'etcd.yaml': 'a: [\n' })).rejects.toThrow(/^\/p\/etcd\.yaml:\d+:\d+: /);
    const files = await patchesOf({ 'etcd+json.yaml': '- {op: remove, path: /spec/none}\n' });
    expect(() => applyPatches('etcd', { spec: {} }, files)).toThrow(
      'the patch file "etcd+json.yaml" does not fit etcd',
    );
  });
  it('need a folder', async () => {
    await expect(readPatches(scratchHost(scratchRoot()), '/none')).rejects.toThrow('there is no folder /none');
  });
});
