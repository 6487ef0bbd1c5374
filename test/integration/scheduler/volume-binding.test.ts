/** Claims, volumes and pods between scheduler and controller-manager on a real control plane; the nodes are only objects. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PersistentVolumeClaim, PodSpec, StorageClass } from '../../../src/machinery/api/types.ts';
import { selectedNode, withoutAnnotation } from '../../../src/machinery/api/volume-annotations.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  events,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  serviceAccounts,
  storageClasses,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const namespace = 'default';
let plane: ControlPlane;
let client: Client;

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 20): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}

beforeAll(async () => {
  plane = await startControlPlane({ components: ['controller-manager', 'scheduler'] });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  for (const name of ['n1', 'n2'])
    await client.resource(nodes).create({
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
    });
  await until('the default service account', () =>
    client.resource(serviceAccounts).find({ namespace, name: 'default' }),
  );
});

afterAll(async () => {
  client?.close();
  await plane?.stop();
});

const onNode = (name: string) => ({
  required: {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In' as const, values: [name] }] },
    ],
  },
});
const makeVolume = (name: string, nodeName: string, storageClassName: string, more: object = {}) =>
  client.resource(persistentVolumes).create({
    metadata: { name },
    spec: {
      capacity: { storage: '2Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName,
      local: { path: `/srv/${name}` },
      nodeAffinity: onNode(nodeName),
      ...more,
    },
  });
const makeClass = (name: string, more: Partial<StorageClass> = {}) =>
  client.resource(storageClasses).create({
    metadata: { name },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
    ...more,
  });
const request = (storageClassName?: string): PersistentVolumeClaim['spec'] => ({
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '1Gi' } },
  ...(storageClassName === undefined ? {} : { storageClassName }),
});
const makeClaim = (name: string, storageClassName?: string) =>
  client
    .resource(persistentVolumeClaims)
    .create({ metadata: { namespace, name }, spec: { ...request(storageClassName) } });
const makePod = (name: string, volume: NonNullable<PodSpec['volumes']>[number]) =>
  client.resource(pods).create({
    metadata: { namespace, name },
    spec: { containers: [{ name: 'c', image: 'x' }], tolerations: [{ operator: 'Exists' }], volumes: [volume] },
  });
const uses = (claimName: string) => ({ name: 'v', persistentVolumeClaim: { claimName } });
const claimNow = (name: string) => client.resource(persistentVolumeClaims).get({ namespace, name });
const volumeNow = (name: string) => client.resource(persistentVolumes).get({ name });
const nodeOf = (name: string) =>
  until(
    `the node of ${name}`,
    async () => (await client.resource(pods).get({ namespace, name })).spec?.nodeName || undefined,
  );
const told = (name: string, reason: string, text: string) =>
  until(`event ${reason} on ${name}`, async () =>
    (await client.resource(events).list()).items.some(
      (event) => event.regarding?.name === name && event.reason === reason && event.note?.includes(text),
    ),
  );

test('a claim that waits for its consumer gets a volume of a node that suits the pod, and not one that others were promised', async () => {
  await makeClass('manual');
  await makeVolume('far', 'n2', 'manual');
  for (const name of ['one', 'two']) await makeClaim(name, 'manual');
  await told('one', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
  for (const name of ['one', 'two']) await makePod(name, uses(name));
  const winner = await until('a pod with the volume', async () => {
    const { items } = await client.resource(pods).list({ namespace });
    return items.find(({ spec }) => spec?.nodeName);
  });
  expect(winner.spec?.nodeName).toBe('n2');
  const [first = '', second = ''] = winner.metadata?.name === 'one' ? ['one', 'two'] : ['two', 'one'];
  expect((await claimNow(first)).spec?.volumeName).toBe('far');
  expect((await volumeNow('far')).metadata?.annotations).toMatchObject({
    'pv.kubernetes.io/bound-by-controller': 'yes',
  });
  await told(
    second,
    'FailedScheduling',
    "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
  );
  await told(second, 'WaitForPodScheduled', `waiting for pod ${second} to be scheduled`);
  await makeVolume('near', 'n1', 'manual');
  expect(await nodeOf(second)).toBe('n1');
});

test('a provisioner is told the node, and when it cannot make a volume there, the pod is scheduled again', async () => {
  await makeClass('made', { provisioner: 'example.com/maker' });
  await makeClaim('made', 'made');
  await makePod('made', uses('made'));
  const chosen = () =>
    until('a chosen node', async () => {
      const claim = await claimNow('made');
      return claim.metadata?.annotations?.[selectedNode] ? claim : undefined;
    });
  const before = await chosen();
  await told('made', 'ExternalProvisioning', "external provisioner 'example.com/maker'");
  const named = await until('the name of the provisioner', async () => {
    const claim = await claimNow('made');
    return claim.metadata?.annotations?.['volume.kubernetes.io/storage-provisioner'] ? claim : undefined;
  });
  await client
    .resource(persistentVolumeClaims)
    .update({ ...named, metadata: withoutAnnotation(named.metadata, selectedNode) });
  await told('made', 'FailedScheduling', 'binding volumes: selectedNode annotation reset for PVC "made"');
  const after = await chosen();
  expect(after.metadata?.resourceVersion).not.toBe(before.metadata?.resourceVersion);
  const nodeName = after.metadata?.annotations?.[selectedNode] ?? '';
  const { uid = '' } = after.metadata ?? {};
  await makeVolume('made', nodeName, 'made', { claimRef: { namespace, name: 'made', uid } });
  expect(await nodeOf('made')).toBe(nodeName);
});

test('a pod has its ephemeral volume as long as it is there', async () => {
  await makeVolume('brief', 'n2', 'manual', { persistentVolumeReclaimPolicy: 'Delete' });
  await makePod('brief', {
    name: 'v',
    ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: 'b' } }, spec: { ...request('manual') } } },
  });
  expect(await nodeOf('brief')).toBe('n2');
  expect((await claimNow('brief-v')).metadata).toMatchObject({
    labels: { a: 'b' },
    ownerReferences: [{ kind: 'Pod' }],
  });
  await client.resource(pods).delete({ namespace, name: 'brief' }, { gracePeriodSeconds: 0 });
  // Nobody can delete a volume that was made by hand.
  await until('the failure', async () => (await volumeNow('brief')).status?.phase === 'Failed');
  await told('brief', 'VolumeFailedDelete', 'no deletable volume plugin matched');
});

test('a claim that was made before there was a default class gets it, and one that wants none does not', async () => {
  await makeClaim('early');
  await makeClaim('none', '');
  await told('early', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set');
  await makePod('early', uses('none'));
  await told('early', 'FailedScheduling', 'pod has unbound immediate PersistentVolumeClaims');
  await makeClass('standard', {
    metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  });
  await until('the class', async () => (await claimNow('early')).spec?.storageClassName === 'standard');
  expect((await claimNow('none')).spec?.storageClassName).toBe('');
});
