/** Add-ons, as a user turns them on and off, gives them values, and brings objects of one's own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../parts/eventually.ts';
import { inventory, kinit, kubeconfig, kubectl, must, onHost } from '../harness.ts';

const addons = (...args: string[]) => kinit('addons', ...args, '--kubeconfig', kubeconfig);

export function addOns(): void {
  describe('the add-on metrics-server', () => {
    it('is off at first, and an unknown one is named as such', async () => {
      const { stdout } = await addons('list');
      expect(stdout).toMatch(/^metrics-server +off/m);
      const unknown = await addons('enable', 'nonsense');
      expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('there is no add-on "nonsense"')]);
    });

    it('gives kubectl top the usage of nodes and pods', async () => {
      const enabled = await addons('enable', 'metrics-server');
      expect([enabled.code, enabled.stdout, enabled.stderr]).toEqual([0, 'metrics-server is on\n', '']);
      expect((await addons('enable', 'metrics-server')).stdout).toBe('metrics-server was on already\n');
      await must('-n', 'kube-system', 'rollout', 'status', 'deployment', 'metrics-server', '--timeout=90s');
      await eventually(async () => {
        const nodes = await must('top', 'nodes');
        for (const name of ['cp1', 'w1', 'w2'])
          expect(nodes).toMatch(new RegExp(`^${name} +\\d+m +\\d+% +\\d+Mi`, 'm'));
      }, 60_000);
      expect(await must('top', 'pods', '-n', 'kube-system')).toMatch(/^etcd-cp1 +\d+m +\d+Mi/m);
      expect(await must('get', 'apiservice', 'v1beta1.metrics.k8s.io')).toMatch(/kube-system\/metrics-server +True/);
    });

    it('goes with all its objects', async () => {
      expect((await addons('disable', 'metrics-server')).stdout).toBe('metrics-server is off\n');
      await eventually(async () => {
        expect((await kubectl('top', 'nodes')).stderr).toContain('Metrics API not available');
        const left = await must('get', 'all,sa,clusterroles,clusterrolebindings,apiservices', '-A', '-o', 'name');
        expect(left).not.toContain('metrics-server');
      }, 60_000);
    });
  });

  values();
  ownManifests();
}

function values(): void {
  describe('values of add-ons', () => {
    const store = () => must('-n', 'kube-system', 'get', 'configmap', 'kinit-addons', '-o', 'jsonpath={.data}');

    it('are validated before anything is changed', async () => {
      const { code, stderr } = await addons('enable', 'dns', '--set', 'replica=3');
      expect([code, stderr]).toEqual([3, expect.stringContaining('did you mean "replicas"?')]);
      const asked = await addons('disable', 'dns');
      expect([asked.code, asked.stderr]).toEqual([3, expect.stringContaining('pods no longer find services')]);
    });

    it('reach the cluster DNS, and are told', async () => {
      const set = await addons('enable', 'dns', '--set', 'replicas=1,zones.corp\\.example={192.0.2.1}');
      expect([set.code, set.stdout, set.stderr]).toEqual([0, 'dns is on\n', '']);
      expect(
        await must('-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'jsonpath={.data.Corefile}'),
      ).toContain('forward corp.example 192.0.2.1 {');
      const states = JSON.parse((await addons('list', '-o', 'json')).stdout) as object[];
      expect(states).toContainEqual(
        expect.objectContaining({
          name: 'dns',
          enabled: true,
          values: expect.objectContaining({ replicas: 1, cache: 30 }),
          given: { replicas: 1, zones: { 'corp.example': ['192.0.2.1'] } },
        }),
      );
      await must('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s');
    });

    it('outlive another run of a phase of init, and are taken back', async () => {
      await onHost('cp1', 'kinit init phase addon coredns');
      expect(await must('-n', 'kube-system', 'get', 'deployment', 'coredns', '-o', 'jsonpath={.spec.replicas}')).toBe(
        '1',
      );
      const back = await kinit(
        ...['addons', 'enable', 'dns', '--set', 'replicas=null,zones=null', '--inventory', inventory],
      );
      expect([back.code, back.stdout]).toEqual([0, 'dns is on\n']);
      expect(await must('-n', 'kube-system', 'get', 'deployment', 'coredns', '-o', 'jsonpath={.spec.replicas}')).toBe(
        '2',
      );
      expect(await store()).not.toContain('"dns"');
      await must('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s');
    }, 90_000);
  });
}

function ownManifests(): void {
  describe('an add-on of manifests', () => {
    let folder: string;
    const file = () => join(folder, 'shop.yaml');
    const object = (kind: string, name: string, rest = '') =>
      `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}${kind === 'Namespace' ? '' : ', namespace: shop'}}\n${rest}`;
    const write = (...objects: string[]) => writeFile(file(), objects.join('---\n'));
    const applied = (...args: string[]) => addons('apply', '--name', 'shop', '-f', file(), ...args);
    const [namespace, a, b] = [object('Namespace', 'shop'), object('ConfigMap', 'a'), object('ConfigMap', 'b')];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'kinit-addons-'));
    });

    afterAll(async () => {
      await rm(folder, { recursive: true });
      await must('delete', 'namespace', 'shop', '--ignore-not-found', '--timeout=60s');
      await must('delete', 'configmap', 'a', '--ignore-not-found');
    }, 90_000);

    it('is applied with a label, and again without a change', async () => {
      await write(namespace, a, b);
      const first = await applied();
      expect([first.code, first.stdout]).toEqual([
        0,
        'Namespace shop created\nConfigMap shop/a created\nConfigMap shop/b created\n',
      ]);
      expect(await must('-n', 'shop', 'get', 'configmaps', '-l', 'kinit.local/addon=shop', '-o', 'name')).toBe(
        'configmap/a\nconfigmap/b\n',
      );
      expect((await applied()).stdout).toMatch(/^(\S+ \S+ unchanged\n){3}$/);
      expect((await addons('list')).stdout).toMatch(/^shop +on +- +your own: 3 objects$/m);
    });

    it('is refused as a whole with the place of what is wrong', async () => {
      await write(namespace, a, object('ConfigMap', 'c', 'datta: {x: "1"}\n'));
      const { code, stderr } = await applied();
      expect([code, stderr]).toEqual([
        3,
        expect.stringMatching(/shop\.yaml:12:1: document 3, ConfigMap shop\/c: .*datta/),
      ]);
      expect((await kubectl('-n', 'shop', 'get', 'configmap', 'c')).code).not.toBe(0);
    });

    it('loses an object only when it is told to', async () => {
      await write(namespace, a);
      expect((await applied()).stdout).toContain('ConfigMap shop/b is no longer in the files and stays');
      expect((await applied('--prune')).stdout).toContain('ConfigMap shop/b removed');
      expect((await kubectl('-n', 'shop', 'get', 'configmap', 'b')).stderr).toContain('NotFound');
    });

    it('is brought and taken away over the inventory', async () => {
      await write(namespace, a, b);
      const overSsh = (...args: string[]) => kinit('addons', ...args, '--inventory', inventory);
      expect((await overSsh('apply', '--name', 'shop', '-f', file())).stdout).toContain('ConfigMap shop/b created');
      expect((await overSsh('disable', 'shop')).stdout).toBe('shop is off\n');
      expect((await addons('list')).stdout).not.toContain('shop');
    });

    it('that a configuration has brought is told when it is no longer named, and goes when told so', async () => {
      const configuration = JSON.stringify({
        apiVersion: 'kinit.local/v1alpha1',
        kind: 'HostConfiguration',
        addons: [{ name: 'named', manifests: [{ file: 'map.yaml', text: a.replaceAll('shop', 'default') }] }],
      });
      const phase = (...args: string[]) => onHost('cp1', `kinit init phase addon manifests -o plain ${args.join(' ')}`);
      expect(await phase(`--config /dev/stdin <<'EOF'\n${configuration}\nEOF\n`)).toContain('your own: changed');
      expect((await addons('list')).stdout).toMatch(/^named +on +- +your own: 1 object$/m);
      expect(await phase()).toContain('not given any more, and still there: the add-on named');
      expect(await must('get', 'configmap', 'a', '-o', 'name')).toBe('configmap/a\n');
      expect(await phase('--prune')).toContain('your own: changed');
      expect((await kubectl('get', 'configmap', 'a')).stderr).toContain('NotFound');
    });
  });
}
