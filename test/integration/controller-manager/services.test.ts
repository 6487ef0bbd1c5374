/** The controllers behind services against a real kube-apiserver and etcd; the nodes are hollow. */
import { expect, test } from 'vitest';
import type { EndpointSlice, Endpoints, Service } from '../../../src/machinery/api/types.ts';
import { endpointSlices, endpoints, pods, replicaSets, services } from '../../../src/machinery/client/resources.ts';
import { namespace, until, useHollowCluster } from './hollow-cluster.ts';

const { resource } = useHollowCluster(['n1', 'n2']);

const slicesOf = async (service: string): Promise<EndpointSlice[]> =>
  (await resource(endpointSlices).list({ namespace, labelSelector: `kubernetes.io/service-name=${service}` })).items;
const endpointsIn = (slices: EndpointSlice[]) => slices.flatMap((slice) => slice.endpoints ?? []);
const whenSlices = (service: string, fits: (slices: EndpointSlice[]) => boolean) =>
  until(`slices of ${service}`, async () => {
    const slices = await slicesOf(service);
    return fits(slices) ? slices : undefined;
  });
const whenEndpoints = (service: string, fits: (object: Endpoints) => boolean) =>
  until(`endpoints of ${service}`, async () => {
    const object = await resource(endpoints).find({ namespace, name: service });
    return object && fits(object) ? object : undefined;
  });

const createService = (name: string, spec: Service['spec'] = {}, labels: Record<string, string> = {}) =>
  resource(services).create({
    metadata: { namespace, name, labels },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'web' }], ...spec },
  });
const createPods = (app: string, replicas: number, annotations: Record<string, string> = {}) =>
  resource(replicaSets).create({
    metadata: { namespace, name: app },
    spec: {
      replicas,
      selector: { matchLabels: { app } },
      template: {
        metadata: { labels: { app }, annotations },
        spec: { containers: [{ name: 'c', image: 'v1', ports: [{ name: 'web', containerPort: 8080 }] }] },
      },
    },
  });

test('a service has an empty slice first, then its pods, then none again', async () => {
  await createService('life', {}, { team: 'a' });
  const [empty] = await whenSlices('life', (slices) => slices.length === 1);
  expect(empty?.endpoints ?? []).toEqual([]);
  await createPods('life', 2);
  const slices = await whenSlices(
    'life',
    (found) => endpointsIn(found).filter((each) => each.conditions?.ready).length === 2,
  );
  expect(slices).toHaveLength(1);
  expect(slices[0]).toMatchObject({
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    metadata: {
      generateName: 'life-',
      labels: { team: 'a', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
      ownerReferences: [{ kind: 'Service', name: 'life' }],
    },
  });
  for (const endpoint of endpointsIn(slices)) {
    expect(endpoint.conditions).toEqual({ ready: true, serving: true, terminating: false });
    expect(endpoint.zone).toBe(endpoint.nodeName === 'n1' ? 'zone-0' : 'zone-1');
    expect(endpoint.targetRef).toMatchObject({ kind: 'Pod', namespace });
  }
  const object = await whenEndpoints('life', ({ subsets }) => subsets?.[0]?.addresses?.length === 2);
  expect(object.subsets?.[0]?.ports).toEqual([{ name: 'http', port: 8080, protocol: 'TCP' }]);
  await resource(replicaSets).delete({ namespace, name: 'life' }, { propagationPolicy: 'Background' });
  await whenSlices('life', (found) => found.length === 1 && endpointsIn(found).length === 0);
  await whenEndpoints('life', ({ subsets }) => !subsets?.length);
  await resource(services).delete({ namespace, name: 'life' });
  await whenSlices('life', (found) => found.length === 0);
  await until('no endpoints', async () => !(await resource(endpoints).find({ namespace, name: 'life' })));
});

test('pods that are not ready are listed as such, or published where that is wished', async () => {
  await createPods('slow', 1, { 'hollow/unready': '' });
  await createService('slow');
  const [plain] = endpointsIn(await whenSlices('slow', (found) => endpointsIn(found).length === 1));
  expect(plain?.conditions).toMatchObject({ ready: false, serving: false });
  await whenEndpoints('slow', ({ subsets }) => subsets?.[0]?.notReadyAddresses?.length === 1);
  await resource(services).patch(
    { namespace, name: 'slow' },
    { spec: { publishNotReadyAddresses: true } },
    { type: 'merge' },
  );
  await whenSlices('slow', (found) => endpointsIn(found)[0]?.conditions?.ready === true);
  await whenEndpoints('slow', ({ subsets }) => subsets?.[0]?.addresses?.length === 1);
});

test('pods beyond a hundred go to a second slice', async () => {
  await createService('wide', { clusterIP: 'None' });
  await createPods('wide', 130);
  const slices = await whenSlices(
    'wide',
    (found) => endpointsIn(found).filter(({ conditions }) => conditions?.ready).length === 130,
  );
  expect(Math.max(...slices.map((slice) => slice.endpoints?.length ?? 0))).toBeLessThanOrEqual(100);
  expect(slices.length).toBeLessThanOrEqual(4);
  expect(slices[0]?.metadata?.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
  const names = endpointsIn(slices).map(({ targetRef }) => targetRef?.name);
  expect(new Set(names).size).toBe(130);
  const some = (await resource(pods).list({ namespace, labelSelector: 'app=wide' })).items.slice(0, 3);
  for (const { metadata } of some)
    await resource(pods).patch(
      { namespace, name: metadata?.name ?? '' },
      { metadata: { labels: { app: 'other' } } },
      { type: 'merge' },
    );
  const gone = new Set(some.map(({ metadata }) => metadata?.name));
  await whenSlices('wide', (found) => !endpointsIn(found).some(({ targetRef }) => gone.has(targetRef?.name ?? '')));
});

test('endpoints made by hand for a service without a selector are mirrored', async () => {
  await resource(services).create({ metadata: { namespace, name: 'manual' }, spec: { ports: [{ port: 5432 }] } });
  await resource(endpoints).create({
    metadata: { namespace, name: 'manual' },
    subsets: [{ addresses: [{ ip: '203.0.113.7' }], ports: [{ port: 5432 }] }],
  });
  const [slice] = await whenSlices('manual', (found) => found.length === 1);
  expect(slice).toMatchObject({
    addressType: 'IPv4',
    endpoints: [{ addresses: ['203.0.113.7'], conditions: { ready: true } }],
    metadata: { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } },
  });
  const subsets = [{ addresses: [{ ip: '203.0.113.8' }], ports: [{ port: 5432 }] }];
  await resource(endpoints).patch({ namespace, name: 'manual' }, { subsets }, { type: 'merge' });
  await whenSlices('manual', (found) => endpointsIn(found)[0]?.addresses[0] === '203.0.113.8');
  await resource(endpoints).delete({ namespace, name: 'manual' });
  await whenSlices('manual', (found) => found.length === 0);
});

test('the slice of the API server itself is left alone', async () => {
  const own = await slicesOf('kubernetes');
  expect(own.map(({ metadata }) => metadata?.name)).toEqual(['kubernetes']);
});
