/** kube-apiserver on a real etcd: what clients rely on when they read, watch and write. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigMap, WatchEvent } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { ApiError } from '../../../src/machinery/client/errors.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, namespaces, pods, serviceAccounts, services } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

let plane: ControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await startControlPlane();
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await client.resource(serviceAccounts).create({ metadata: { namespace: 'default', name: 'default' } });
});
afterAll(async () => {
  client.close();
  await plane.stop();
});

const map = (name: string, data: Record<string, string> = {}, namespace = 'default'): ConfigMap => ({
  metadata: { namespace, name },
  data,
});

async function failure(work: Promise<unknown>): Promise<ApiError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('expected the request to be refused');
}

/** The first events of a watch. */
async function take(events: AsyncIterable<WatchEvent<ConfigMap>>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const { type, object } of events) {
    if (type === 'BOOKMARK') continue;
    seen.push(`${type} ${object.metadata?.name} ${object.data?.['n'] ?? ''}`);
    if (seen.length === count) break;
  }
  return seen;
}

describe('reading', () => {
  const namespace = 'reading';
  const maps = () => client.resource(configMaps);
  beforeAll(async () => {
    await client.resource(namespaces).create({ metadata: { name: namespace } });
    for (const n of [1, 2, 3, 4, 5])
      await maps().create({
        ...map(`m${n}`, { n: `${n}` }, namespace),
        metadata: { namespace, name: `m${n}`, labels: { odd: String(n % 2 === 1) } },
      });
  });

  it('a list sees every write that was acknowledged before it', async () => {
    for (let n = 0; n < 20; n++) {
      await maps().create(map(`fresh-${n}`, {}, namespace));
      const { items } = await maps().list({ namespace });
      expect(items.map(({ metadata }) => metadata?.name)).toContain(`fresh-${n}`);
    }
    await maps().deleteCollection({ namespace, fieldSelector: '', labelSelector: '!odd' });
  });

  it('pages hang together at the revision of the first one', async () => {
    const first = await maps().list({ namespace, limit: 2 });
    expect(first.metadata.remainingItemCount).toBe(3);
    await maps().delete({ namespace, name: 'm5' });
    const rest = await maps().list({ namespace, limit: 10, continue: first.metadata.continue as string });
    expect([...first.items, ...rest.items].map(({ metadata }) => metadata?.name)).toEqual([
      'm1',
      'm2',
      'm3',
      'm4',
      'm5',
    ]);
    expect(rest.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    await maps().create({
      ...map('m5', { n: '5' }, namespace),
      metadata: { namespace, name: 'm5', labels: { odd: 'true' } },
    });
  });

  it.each([
    [{ labelSelector: 'odd=true' }, ['m1', 'm3', 'm5']],
    [{ labelSelector: 'odd notin (true)' }, ['m2', 'm4']],
    [{ fieldSelector: 'metadata.name=m2' }, ['m2']],
    [{ fieldSelector: 'metadata.name!=m2', labelSelector: 'odd=false' }, ['m4']],
  ])('selects by %o', async (selector, names) => {
    const { items } = await maps().list({ namespace, ...selector });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(names);
  });

  it('finds objects of one name in all namespaces', async () => {
    const { items } = await maps().list({ fieldSelector: 'metadata.name=m2' });
    expect(items.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`)).toContain(`${namespace}/m2`);
  });

  it('refuses a field that cannot be selected by', async () => {
    const error = await failure(maps().list({ namespace, fieldSelector: 'data.n=1' }));
    expect([error.code, error.message]).toEqual([400, 'field label not supported: data.n']);
  });

  it('a watch from a list goes on where the list ended', async () => {
    const { metadata } = await maps().list({ namespace });
    const watching = take(maps().watch({ namespace, resourceVersion: metadata.resourceVersion as string }), 3);
    await maps().create(map('w', { n: '1' }, namespace));
    await maps().patch({ namespace, name: 'w' }, { data: { n: '2' } }, { type: 'merge' });
    await maps().delete({ namespace, name: 'w' });
    expect(await watching).toEqual(['ADDED w 1', 'MODIFIED w 2', 'DELETED w 2']);
  });

  it('an object that comes to match a selector is added to its watch, and deleted when it no longer does', async () => {
    const { metadata } = await maps().list({ namespace });
    const watching = take(
      maps().watch({ namespace, resourceVersion: metadata.resourceVersion as string, labelSelector: 'on=yes' }),
      2,
    );
    const label = (on: string | null) =>
      maps().patch({ namespace, name: 'm1' }, { metadata: { labels: { on } } }, { type: 'merge' });
    await label('no');
    await label('yes');
    await label(null);
    expect(await watching).toEqual(['ADDED m1 1', 'DELETED m1 1']);
  });

  it('what another protobuf client would send and read is served', async () => {
    const { status, headers } = await client.raw('GET', `/api/v1/namespaces/${namespace}/configmaps/m1`, {
      headers: { accept: 'application/vnd.kubernetes.protobuf' },
    });
    expect([status, headers['content-type']]).toEqual([200, 'application/vnd.kubernetes.protobuf']);
  });
});

describe('writing', () => {
  const maps = () => client.resource(configMaps);

  it('an update of an old version is a conflict, and changes nothing', async () => {
    const first = await maps().create(map('contested', { n: '1' }));
    await maps().update({ ...first, data: { n: '2' } });
    const error = await failure(maps().update({ ...first, data: { n: '3' } }));
    expect([error.code, error.message]).toEqual([
      409,
      'Operation cannot be fulfilled on configmaps "contested": the object has been modified; please apply your changes to the latest version and try again',
    ]);
    expect((await maps().get({ namespace: 'default', name: 'contested' })).data).toEqual({ n: '2' });
  });

  it('patches that arrive together are all applied', async () => {
    await maps().create(map('busy'));
    const patch = (n: number) =>
      maps().patch({ namespace: 'default', name: 'busy' }, { data: { [`k${n}`]: 'v' } }, { type: 'merge' });
    await Promise.all(Array.from({ length: 30 }, (_, n) => patch(n)));
    const { data } = await maps().get({ namespace: 'default', name: 'busy' });
    expect(Object.keys(data ?? {})).toHaveLength(30);
  });

  it('an update that changes nothing keeps the resourceVersion', async () => {
    const made = await maps().create(map('same', { n: '1' }));
    const again = await maps().update(made);
    expect(again.metadata?.resourceVersion).toBe(made.metadata?.resourceVersion);
  });

  it('a dry run answers like a write and writes nothing', async () => {
    const made = await maps().create(map('dry'), { dryRun: true });
    expect(made.metadata?.uid).toBeTruthy();
    expect(await maps().find({ namespace: 'default', name: 'dry' })).toBeUndefined();
  });

  it('generateName makes names that do not clash', async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, () => maps().create({ metadata: { namespace: 'default', generateName: 'gen-' } })),
    );
    expect(new Set(made.map(({ metadata }) => metadata?.name)).size).toBe(20);
  });

  it('an object with a finalizer is marked, and goes with it', async () => {
    const made = map('held');
    await maps().create({ ...made, metadata: { ...made.metadata, finalizers: ['example.com/hold'] } });
    await maps().delete({ namespace: 'default', name: 'held' });
    const marked = await maps().get({ namespace: 'default', name: 'held' });
    expect(marked.metadata?.deletionTimestamp).toBeTruthy();
    await maps().patch({ namespace: 'default', name: 'held' }, { metadata: { finalizers: null } }, { type: 'merge' });
    expect(await maps().find({ namespace: 'default', name: 'held' })).toBeUndefined();
  });

  it('a delete heeds its preconditions', async () => {
    await maps().create(map('other'));
    const error = await failure(
      maps().delete({ namespace: 'default', name: 'other' }, { preconditions: { uid: 'not-this-one' } }),
    );
    expect(error.code).toBe(409);
    expect(await maps().find({ namespace: 'default', name: 'other' })).toBeDefined();
  });

  it.each([
    ['a missing namespace', map('x', {}, 'nowhere'), 404, 'namespaces "nowhere" not found'],
    ['a name that exists', map('contested'), 409, 'configmaps "contested" already exists'],
  ])('refuses %s', async (_what, object, code, message) => {
    const error = await failure(maps().create(object));
    expect([error.code, error.message]).toEqual([code, message]);
  });

  it('a pod gets its defaults, token volume and tolerations, and lives until its grace period ends', async () => {
    const pod = await client.resource(pods).create({
      metadata: { namespace: 'default', name: 'p' },
      spec: { containers: [{ name: 'c', image: 'example.com/c:1' }], nodeName: 'somewhere' },
    });
    expect(pod.status).toMatchObject({ phase: 'Pending', qosClass: 'BestEffort' });
    expect(pod.spec).toMatchObject({
      restartPolicy: 'Always',
      serviceAccountName: 'default',
      terminationGracePeriodSeconds: 30,
    });
    expect(pod.spec?.volumes?.[0]?.name).toMatch(/^kube-api-access-/);
    await client.resource(pods).delete({ namespace: 'default', name: 'p' });
    expect(
      (await client.resource(pods).get({ namespace: 'default', name: 'p' })).metadata?.deletionGracePeriodSeconds,
    ).toBe(30);
    await client.resource(pods).delete({ namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 });
    expect(await client.resource(pods).find({ namespace: 'default', name: 'p' })).toBeUndefined();
  });

  it('services never share an address or a node port', async () => {
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        client.resource(services).create({
          metadata: { namespace: 'default', name: `s${n}` },
          spec: { type: 'NodePort', ports: [{ port: 80 }], selector: { a: 'b' } },
        }),
      ),
    );
    expect(new Set(made.map(({ spec }) => spec?.clusterIP)).size).toBe(30);
    expect(new Set(made.map(({ spec }) => spec?.ports?.[0]?.nodePort)).size).toBe(30);
    const taken = made[0]?.spec?.clusterIP as string;
    const again = client.resource(services).create({
      metadata: { namespace: 'default', name: 'again' },
      spec: { clusterIP: taken, ports: [{ port: 80 }] },
    });
    expect((await failure(again)).message).toContain('provided IP is already allocated');
    // What is let go can be had at once.
    for (const { metadata, spec } of made) {
      await client.resource(services).delete({ namespace: 'default', name: metadata?.name ?? '' });
      const freed = await client.resource(services).create({
        metadata: { namespace: 'default', name: `freed-${metadata?.name}` },
        spec: { type: 'NodePort', clusterIP: spec?.clusterIP as string, ports: spec?.ports ?? [] },
      });
      expect(freed.spec).toMatchObject({ clusterIP: spec?.clusterIP, ports: spec?.ports });
    }
  });
});

describe('authorization', () => {
  it('a user without a role may look at nothing but the API itself', async () => {
    const ann = createClient(await loadKubeconfig(await plane.issue('ann', [])));
    const error = await failure(ann.resource(pods).list({ namespace: 'default' }));
    expect([error.code, error.message]).toEqual([
      403,
      'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
    ]);
    expect((await ann.raw('GET', '/version')).status).toBe(200);
    ann.close();
  });

  it('a node reads only the secrets of its own pods', async () => {
    const node = createClient(await loadKubeconfig(await plane.issue('system:node:n1', ['system:nodes'])));
    const { status } = await node.raw('GET', '/api/v1/namespaces/kube-system/secrets/some');
    expect(status).toBe(403);
    node.close();
  });
});

describe('a restart', () => {
  it('of kube-apiserver loses nothing and goes on with its clients', async () => {
    await client.resource(configMaps).create(map('before', { n: '1' }));
    plane.process('apiserver').kill('SIGKILL');
    await plane.restart('apiserver');
    expect((await client.resource(configMaps).get({ namespace: 'default', name: 'before' })).data).toEqual({ n: '1' });
  });

  it('a watch from before what the server knows is refused as expired', async () => {
    const error = await failure(
      take(client.resource(configMaps).watch({ namespace: 'default', resourceVersion: '1' }), 1),
    );
    expect([error.code, error.status.reason]).toEqual([410, 'Expired']);
  });

  it('of etcd is a pause', async () => {
    await plane.restart('etcd');
    const made = await client.resource(configMaps).create(map('after', { n: '2' }));
    expect(made.metadata?.uid).toBeTruthy();
    const { items } = await client.resource(configMaps).list({ namespace: 'default' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(expect.arrayContaining(['before', 'after']));
  });
});
