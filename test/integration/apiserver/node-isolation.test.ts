/** A stolen kubelet key: what it opens, and what it does not. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, nodes, pods, secrets, serviceAccounts } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const namespace = 'default';
let plane: ControlPlane;
let admin: Client;
/** Kubelets of two nodes; the key of the second one is stolen. */
let honest: Client;
let stolen: Client;

const kubelet = async (node: string) =>
  createClient(await loadKubeconfig(await plane.issue(`system:node:${node}`, ['system:nodes'])));

const podOn = (nodeName: string, name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    nodeName,
    containers: [{ name: 'c', image: 'i', envFrom: [{ secretRef: { name: `of-${nodeName}` } }] }],
    volumes: [{ name: 'v', configMap: { name: `of-${nodeName}` } }],
  },
});

beforeAll(async () => {
  plane = await startControlPlane();
  admin = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await admin.resource(serviceAccounts).create({ metadata: { namespace, name: 'default' } });
  for (const node of ['a', 'b']) {
    await admin.resource(nodes).create({ metadata: { name: node } });
    await admin.resource(secrets).create({ metadata: { name: `of-${node}`, namespace }, stringData: { key: node } });
    await admin.resource(configMaps).create({ metadata: { name: `of-${node}`, namespace }, data: { key: node } });
    await admin.resource(pods).create(podOn(node, `on-${node}`));
  }
  honest = await kubelet('a');
  stolen = await kubelet('b');
  await vi.waitFor(() => stolen.resource(secrets).get({ name: 'of-b', namespace }), { timeout: 10_000, interval: 50 });
}, 60_000);

afterAll(() => plane?.stop());

describe('the key of one node', () => {
  it('reads what pods of that node use', async () => {
    expect((await honest.resource(secrets).get({ name: 'of-a', namespace })).data).toEqual({ key: 'YQ==' });
    expect((await honest.resource(configMaps).get({ name: 'of-a', namespace })).data).toEqual({ key: 'a' });
  });

  it.each([
    ['secrets of another node', () => stolen.resource(secrets).get({ name: 'of-a', namespace })],
    ['all secrets', () => stolen.resource(secrets).list({})],
    ['all secrets of a namespace', () => stolen.resource(secrets).list({ namespace })],
    ['config maps of another node', () => stolen.resource(configMaps).get({ name: 'of-a', namespace })],
    [
      'a token for a service account without a pod of its own',
      () =>
        stolen.resource(serviceAccounts).createSubresource({ name: 'default', namespace }, 'token', {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: {},
        }),
    ],
    [
      'the node of another kubelet',
      () => stolen.resource(nodes).patch({ name: 'a' }, { metadata: { labels: { x: 'y' } } }, { type: 'merge' }),
    ],
    ['the pods of another node', () => stolen.resource(pods).delete({ name: 'on-a', namespace })],
    ['a pod that would use the secret of another', () => stolen.resource(pods).create(podOn('b', 'thief'))],
    [
      'labels that isolate workloads',
      () =>
        stolen
          .resource(nodes)
          .patch(
            { name: 'b' },
            { metadata: { labels: { 'node-restriction.kubernetes.io/fips': 'true' } } },
            { type: 'merge' },
          ),
    ],
  ])('does not open %s', async (_what, attempt) => {
    await expect(attempt()).rejects.toMatchObject({ status: { code: 403, reason: 'Forbidden' } });
  });

  it('is counted with the time that its certificate has left', async () => {
    const { body } = await admin.raw('GET', '/metrics');
    const bucket = (limit: string) =>
      Number(
        new RegExp(`^apiserver_client_certificate_expiration_seconds_bucket\\{le="${limit}"\\} (\\d+)$`, 'm').exec(
          body,
        )?.[1],
      );
    expect(bucket('0')).toBe(0);
    expect(bucket('\\+Inf')).toBeGreaterThan(10);
  });
});
