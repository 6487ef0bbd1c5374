/** What a dry run tells of objects is what the run then changes, in a real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { applyObjects } from '../../../src/installer/addons/apply.ts';
import { parseManifests } from '../../../src/installer/addons/manifests.ts';
import { applyOwn } from '../../../src/installer/addons/own.ts';
import { readStore, writeStore } from '../../../src/installer/addons/store.ts';
import { dryRunClient } from '../../../src/installer/converge/dry-run-client.ts';
import type { PlannedChange } from '../../../src/installer/host/dry-run.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, namespaces } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const signal = new AbortController().signal;
let plane: ControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await startControlPlane();
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
});
afterAll(async () => {
  client.close();
  await plane.stop();
});

const configMap = (value: string): UnknownObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'kube-system' },
  data: { value },
});
const secret = (password: string): UnknownObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'known', namespace: 'kube-system' },
  stringData: { password },
});

/** What was told, and whether the run itself said that it changes something. */
async function tried(
  work: (client: Client, plan: (change: PlannedChange) => void) => Promise<boolean>,
  stored?: UnknownObject[],
) {
  const told: PlannedChange[] = [];
  const tell = (change: PlannedChange) => told.push(change);
  const changed = await work(dryRunClient(client, { tell, ...(stored ? { stored } : {}) }), tell);
  return { told, changed };
}

const names = (told: readonly PlannedChange[]) => told.map(({ action, what }) => `${action} ${what}`);

it('objects that would be made or changed are told with their differences, and nothing is written', async () => {
  const apply = (value: string) => (api: Client) =>
    applyObjects(api, [configMap(value), secret(`${value}-geheim`)], { signal });
  const first = await tried(apply('a'));
  expect(first.changed).toBe(true);
  expect(names(first.told)).toEqual(['create ConfigMap kube-system/settings', 'create Secret kube-system/known']);
  const ref = { name: 'settings', namespace: 'kube-system' };
  expect(await client.resource(configMaps).find(ref)).toBeUndefined();

  expect(await applyObjects(client, [configMap('a')], { signal })).toBe(true);
  expect(await tried((api) => applyObjects(api, [configMap('a')], { signal }))).toEqual({ told: [], changed: false });

  const second = await tried(apply('b'));
  expect(names(second.told)).toEqual(['create Secret kube-system/known', 'change ConfigMap kube-system/settings']);
  expect(JSON.stringify(second.told)).not.toContain('geheim');
  const shown = second.told[1]?.difference ?? '';
  expect(shown.split('\n').filter((line) => /^[-+]/.test(line))).toEqual([
    '--- ConfigMap kube-system/settings',
    '+++ ConfigMap kube-system/settings',
    '-  value: a',
    '+  value: b',
  ]);
  expect((await client.resource(configMaps).get(ref)).data?.['value']).toBe('a');
});

it('what is written more than once is told once, with all of it', async () => {
  const entry = { enabled: true, values: {}, by: 'command' } as const;
  const { told } = await tried(async (api) => {
    await writeStore(api, 'one', entry, signal);
    await writeStore(api, 'two', entry, signal);
    return true;
  });
  expect(names(told)).toEqual(['create ConfigMap kube-system/kinit-addons']);
  expect(told[0]?.difference).toMatch(/\+ {2}one: [\s\S]*\+ {2}two: /);
  expect(await readStore(client, signal)).toEqual({});
});

const own = (value: string) => `apiVersion: v1
kind: Namespace
metadata: { name: team }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.test }
spec:
  group: example.test
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: app, namespace: team }
data: { value: ${value} }
---
apiVersion: example.test/v1
kind: Widget
metadata: { name: one, namespace: team }
`;

it('manifests that bring their namespace and their kinds are told whole, and are then applied in one go', async () => {
  const objects = (value: string) => parseManifests([{ file: 'own.yaml', text: own(value) }]);
  const addon = { name: 'own', by: 'command', signal } as const;
  const apply = (value: string) =>
    tried(async (api, plan) => (await applyOwn({ ...addon, client: api, plan }, objects(value))).changed);
  expect(names((await apply('a')).told).sort()).toEqual([
    'create ConfigMap kube-system/kinit-addons',
    'create ConfigMap team/app',
    'create CustomResourceDefinition widgets.example.test',
    'create Namespace team',
    'create Widget team/one',
  ]);
  expect(await client.resource(namespaces).find({ name: 'team' })).toBeUndefined();
  expect((await applyOwn({ ...addon, client }, objects('a'))).created).toHaveLength(4);
  expect(await apply('a')).toEqual({ told: [], changed: false });
  const { told, changed } = await apply('b');
  expect([names(told), changed]).toEqual([['change ConfigMap team/app'], true]);
});

it("another host's plan stands for what is stored", async () => {
  const ref = { name: 'settings', namespace: 'kube-system' };
  const read = (api: Client) => api.resource(configMaps).get(ref);
  await tried(
    async (api) => {
      expect((await read(api)).data?.['value']).toBe('planned');
      return false;
    },
    [configMap('planned')],
  );
  expect((await read(client)).data?.['value']).toBe('a');
});
