/** What pods refer to, as a node may read it from a real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createReferencedObjects } from '../../../src/components/kubelet/objects/referenced.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, namespaces, nodes, pods, serviceAccounts } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

let plane: ControlPlane;
let admin: Client;
let node: Client;
let objects: ReturnType<typeof createReferencedObjects>;
const namespace = 'refs';

beforeAll(async () => {
  plane = await startControlPlane();
  admin = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  node = createClient(await loadKubeconfig(await plane.issue('system:node:n1', ['system:nodes'])));
  objects = createReferencedObjects(node);
  await admin.resource(namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await admin.resource(serviceAccounts).create({ metadata: { namespace, name: 'robot' } });
  await admin.resource(nodes).create({ metadata: { name: 'n1' } });
});
afterAll(async () => {
  objects?.close();
  admin?.close();
  node?.close();
  await plane?.stop();
});

const bind = (name: string, configMap: string): Promise<Pod> =>
  admin.resource(pods).create({
    metadata: { namespace, name },
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'robot',
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'x' }],
      volumes: [
        { name: 'v', configMap: { name: configMap } },
        { name: 't', projected: { sources: [{ serviceAccountToken: { audience: 'vault', path: 'token' } }] } },
      ],
    },
  });

it('are found, followed and forgotten', async () => {
  const pod = await bind('p1', 'conf');
  objects.track(pod);
  const read = () => objects.configMap(namespace, 'conf');
  await expect.poll(() => read().then((map) => map ?? 'none'), { timeout: 10_000 }).toBe('none');
  await admin.resource(configMaps).create({ metadata: { namespace, name: 'conf' }, data: { a: '1' } });
  await expect.poll(async () => (await read())?.data, { timeout: 10_000 }).toEqual({ a: '1' });
  await admin.resource(configMaps).update({ metadata: { namespace, name: 'conf' }, data: { a: '2' } });
  await expect.poll(async () => (await read())?.data, { timeout: 10_000 }).toEqual({ a: '2' });
  objects.release(pod.metadata?.uid ?? '');
});

it('are not shown when no pod of the node uses them', async () => {
  await admin.resource(configMaps).create({ metadata: { namespace, name: 'foreign' }, data: { a: '1' } });
  await expect(objects.configMap(namespace, 'foreign')).rejects.toThrow(
    'failed to sync configmap cache: timed out waiting for the condition',
  );
});

it('tokens are bound to the pod and kept until they must be renewed', async () => {
  const pod = await bind('p2', 'conf');
  const token = await objects.serviceAccountToken(pod, 'vault', 3600);
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  expect(claims).toMatchObject({
    aud: ['vault'],
    sub: `system:serviceaccount:${namespace}:robot`,
    'kubernetes.io': { pod: { name: 'p2', uid: pod.metadata?.uid } },
  });
  expect(await objects.serviceAccountToken(pod, 'vault', 3600)).toBe(token);
  expect(await objects.serviceAccountToken(pod, 'vault', 7200)).not.toBe(token);
  await expect(objects.serviceAccountToken(pod, 'other', 3600)).rejects.toThrow('audience "other" not found');
});
