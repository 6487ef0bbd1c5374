import { expect, test } from 'vitest';
import {
  endpointSubsets,
  withinCapacity,
} from '../../../src/components/controller-manager/network/endpoint-subsets.ts';
import { wantedEndpoints } from '../../../src/components/controller-manager/network/endpoints.ts';
import { isMirrored, mirroredGroups } from '../../../src/components/controller-manager/network/mirroring.ts';
import { newSlice, serviceEndpoints } from '../../../src/components/controller-manager/network/service-slices.ts';
import { type Endpoint, planSlices } from '../../../src/components/controller-manager/network/slice-plan.ts';
import { TriggerTimes } from '../../../src/components/controller-manager/network/trigger-time.ts';
import type { EndpointSlice, Pod, Service } from '../../../src/machinery/api/types.ts';

const service = (spec: Service['spec'] = {}): Service => ({
  metadata: { name: 'web', namespace: 'default', uid: 's', labels: { team: 'a', 'kubernetes.io/service-name': 'x' } },
  spec: {
    selector: { app: 'web' },
    ipFamilies: ['IPv4'],
    ports: [{ name: 'http', port: 80, targetPort: 'web', protocol: 'TCP' }],
    ...spec,
  },
});

interface Facts {
  ready?: boolean;
  deleting?: boolean;
  phase?: string;
  port?: number;
  ips?: string[];
  node?: string;
}

function pod(
  name: string,
  { ready = true, deleting, phase = 'Running', port = 8080, ips = ['10.0.0.1'], node = 'n1' }: Facts,
): Pod {
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      nodeName: node,
      hostname: name,
      subdomain: 'web',
      containers: [{ name: 'c', ports: [{ name: 'web', containerPort: port }] }],
    },
    status: {
      phase,
      podIP: ips[0] ?? '',
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

const node = (name: string) =>
  name === 'n1' ? { metadata: { name, labels: { 'topology.kubernetes.io/zone': 'z1' } } } : undefined;

test.each([
  ['ready', {}, {}, { ready: true, serving: true, terminating: false }],
  ['not ready', { ready: false }, {}, { ready: false, serving: false, terminating: false }],
  ['terminating', { deleting: true }, {}, { ready: false, serving: true, terminating: true }],
  [
    'not ready, published all the same',
    { ready: false },
    { publishNotReadyAddresses: true },
    { ready: true, serving: false, terminating: false },
  ],
])('a pod that is %s has these conditions', (_what, facts: Facts, spec, conditions) => {
  const { groups } = serviceEndpoints(service(spec), [pod('a', facts)], 'IPv4', node);
  expect(groups).toEqual([
    {
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: ['10.0.0.1'],
          conditions,
          hostname: 'a',
          nodeName: 'n1',
          zone: 'z1',
          targetRef: { kind: 'Pod', namespace: 'default', name: 'a', uid: 'a' },
        },
      ],
    },
  ]);
});

test.each([
  ['finished', pod('a', { phase: 'Succeeded' })],
  ['without an address', pod('a', { ips: [] })],
  ['of the other family', pod('a', { ips: ['fd00::1'] })],
])('a pod that is %s is no endpoint', (_what, subject) => {
  expect(serviceEndpoints(service(), [subject], 'IPv4', node).groups).toEqual([]);
});

test('a pod on an unknown node waits for the node', () => {
  const wanted = serviceEndpoints(service(), [pod('a', { node: 'n2' })], 'IPv4', node);
  expect(wanted.groups).toEqual([]);
  expect(wanted.withoutNode).toHaveLength(1);
});

test('a named port that differs between pods makes two groups', () => {
  const pods = [pod('a', {}), pod('b', { port: 9090 })];
  expect(serviceEndpoints(service(), pods, 'IPv4', node).groups).toHaveLength(2);
});

test('a new slice is owned by its service, and reserved labels are the controller’s', () => {
  const slice = newSlice(service({ clusterIP: 'None' }), 'IPv4', { ports: [], endpoints: [] }, '2026-01-01T00:00:00Z');
  expect(slice.metadata).toMatchObject({
    generateName: 'web-',
    labels: {
      team: 'a',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      'service.kubernetes.io/headless': '',
    },
    ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', uid: 's', controller: true }],
  });
});

const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }];
const endpoint = (number: number): Endpoint => ({ addresses: [`10.0.0.${number}`], conditions: { ready: true } });
const slice = (name: string, endpoints: Endpoint[], own = ports): EndpointSlice => ({
  metadata: { name },
  addressType: 'IPv4',
  ports: own,
  endpoints,
});
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => endpoint(from + index));
const plan = (endpoints: Endpoint[], existing: EndpointSlice[]) => {
  const { create, update, remove } = planSlices(
    endpoints.length ? [{ ports, endpoints }] : [],
    existing,
    () => true,
    3,
  );
  return {
    create: create.map((group) => group.endpoints.length),
    update: update.map(({ metadata, endpoints: own }) => [metadata?.name, own?.length]),
    remove: remove.map(({ metadata }) => metadata?.name),
  };
};

test.each([
  ['7 endpoints fill slices of 3', range(0, 7), [], { create: [3, 3, 1], update: [], remove: [] }],
  ['the same endpoints write nothing', range(0, 2), [slice('a', range(0, 2))], { create: [], update: [], remove: [] }],
  [
    'a new endpoint goes where room is',
    range(0, 5),
    [slice('a', range(0, 3)), slice('b', range(3, 4))],
    { create: [], update: [['b', 2]], remove: [] },
  ],
  [
    'an emptied slice is removed',
    range(3, 4),
    [slice('a', range(0, 3)), slice('b', range(3, 4))],
    { create: [], update: [], remove: ['a'] },
  ],
  ['no endpoints make a placeholder', [], [slice('a', range(0, 3))], { create: [0], update: [], remove: ['a'] }],
  ['an existing placeholder stays', [], [slice('p', [], [])], { create: [], update: [], remove: [] }],
  [
    'a placeholder goes when endpoints come',
    range(0, 1),
    [slice('p', [], [])],
    { create: [1], update: [], remove: ['p'] },
  ],
])('%s', (_what, endpoints, existing, expected) => {
  expect(plan(endpoints, existing)).toEqual(expected);
});

test('Endpoints keep ready and not ready apart and leave terminating pods out', () => {
  const pods = [pod('a', {}), pod('b', { ready: false, ips: ['10.0.0.2'] }), pod('c', { deleting: true })];
  expect(endpointSubsets(service(), pods)).toMatchObject([
    { addresses: [{ ip: '10.0.0.1' }], notReadyAddresses: [{ ip: '10.0.0.2' }], ports: [{ name: 'http', port: 8080 }] },
  ]);
});

test('Endpoints over capacity lose not ready addresses first and say so', () => {
  const ready = Array.from({ length: 999 }, (_, index) => ({ ip: `10.1.${index >> 8}.${index & 255}` }));
  const all = [{ addresses: ready, notReadyAddresses: [{ ip: '10.2.0.1' }, { ip: '10.2.0.2' }] }];
  expect(withinCapacity(all)[0]?.notReadyAddresses).toHaveLength(1);
  const wanted = wantedEndpoints(service({ clusterIP: 'None' }), undefined, all, undefined);
  expect(wanted.metadata?.annotations).toEqual({ 'endpoints.kubernetes.io/over-capacity': 'truncated' });
  expect(wanted.metadata?.labels?.['service.kubernetes.io/headless']).toBe('');
});

test('only hand-made Endpoints of services without selector are mirrored', () => {
  const object = { metadata: { name: 'web' } };
  const bare = { metadata: { name: 'web' }, spec: {} };
  expect(isMirrored(object, bare)).toBe(true);
  expect(isMirrored(object, service())).toBe(false);
  expect(isMirrored(object, undefined)).toBe(false);
  const skipped = { metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } } };
  expect(isMirrored(skipped, bare)).toBe(false);
});

test('mirrored endpoints are split by family', () => {
  const groups = mirroredGroups([{ addresses: [{ ip: '1.2.3.4' }, { ip: 'fd00::1' }], ports: [{ port: 80 }] }]);
  expect([...groups.keys()]).toEqual(['IPv4', 'IPv6']);
  expect(groups.get('IPv4')?.[0]?.endpoints).toEqual([{ addresses: ['1.2.3.4'], conditions: { ready: true } }]);
});

test('the trigger time is the earliest change that was not seen before', () => {
  const times = new TriggerTimes();
  const subject = { ...service(), metadata: { creationTimestamp: '2026-01-01T00:00:01Z' } };
  const readyAt = (name: string, time: string): Pod => ({
    metadata: { name },
    status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time }] },
  });
  const first = readyAt('a', '2026-01-01T00:00:05Z');
  expect(times.next('k', subject, [first])).toBe('2026-01-01T00:00:01Z');
  expect(times.next('k', subject, [first])).toBeUndefined();
  expect(times.next('k', subject, [first, readyAt('b', '2026-01-01T00:00:07Z')])).toBe('2026-01-01T00:00:07Z');
});
