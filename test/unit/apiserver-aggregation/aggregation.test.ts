import { describe, expect, it } from 'vitest';
import type { ApiService } from '../../../src/components/apiserver/aggregation/api-service.ts';
import { automaticServices } from '../../../src/components/apiserver/aggregation/automatic.ts';
import { backendOf } from '../../../src/components/apiserver/aggregation/destination.ts';
import { remoteUserHeaders } from '../../../src/components/apiserver/aggregation/front-proxy.ts';
import { remoteResources } from '../../../src/components/apiserver/aggregation/probe.ts';
import { mergedFacts } from '../../../src/components/apiserver/bootstrap/authentication-facts.ts';
import { discoveryDocument } from '../../../src/components/apiserver/discovery/discovery.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { CacheReader } from '../../../src/components/apiserver/types.ts';
import { apiServiceErrors } from '../../../src/components/apiserver/validation/api-services.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const apiService = (service?: object, spec: object = {}): ApiService => ({
  metadata: { name: 'v1.shop.example' },
  spec: {
    group: 'shop.example',
    version: 'v1',
    groupPriorityMinimum: 100,
    versionPriority: 100,
    ...(service ? { service: service as never } : {}),
    ...spec,
  },
});

function cacheOf(service?: object, slices: object[] = []): CacheReader {
  const listed = slices.map((slice) => ({
    metadata: { namespace: 'a', labels: { 'kubernetes.io/service-name': 's' } },
    ...slice,
  }));
  return {
    get: () => service as UnknownObject | undefined,
    list: () => listed as UnknownObject[],
    onChange: () => () => undefined,
    ready: () => Promise.resolve(),
  };
}

describe('where the server of an APIService is', () => {
  const reference = { namespace: 'a', name: 's', port: 443 };
  const service = { spec: { clusterIP: '10.96.0.9', ports: [{ name: 'https', port: 443 }] } };
  const ready = {
    endpoints: [{ addresses: ['10.1.0.1'] }, { addresses: ['10.1.0.2'], conditions: { ready: false } }],
    ports: [{ name: 'https', port: 8443 }],
  };
  it.each<[string, CacheReader, boolean, object]>([
    ['the service is not there', cacheOf(), false, { reason: 'ServiceNotFound' }],
    ['it has another port', cacheOf({ spec: { ports: [{ port: 80 }] } }), false, { reason: 'ServicePortError' }],
    ['it has no endpoint slices', cacheOf(service), false, { reason: 'EndpointsNotFound' }],
    [
      'no endpoint has the port',
      cacheOf(service, [{ endpoints: [], ports: [] }]),
      false,
      {
        reason: 'MissingEndpoints',
        message: 'endpointslices for service/s in "a" have no addresses with port name "https"',
      },
    ],
    ['the cluster IP is used', cacheOf(service, [ready]), false, { host: '10.96.0.9', port: 443 }],
    ['ready endpoints are used when told', cacheOf(service, [ready]), true, { host: '10.1.0.1', port: 8443 }],
    [
      'a headless service has endpoints only',
      cacheOf({ spec: { ...service.spec, clusterIP: 'None' } }, [ready]),
      false,
      { host: '10.1.0.1', port: 8443 },
    ],
    [
      'an external name is a host',
      cacheOf({ spec: { type: 'ExternalName', externalName: 'x.example' } }),
      false,
      { host: 'x.example', port: 443 },
    ],
  ])('%s', (_, cache, routing, expected) => {
    const { condition, destinations } = backendOf(apiService(reference), cache, routing);
    if (condition) expect(condition).toMatchObject({ status: 'False', ...expected });
    else expect(destinations).toEqual([expected]);
  });
});

describe('what an APIService must be like', () => {
  const reference = { namespace: 'a', name: 's' };
  it.each<[string, ApiService, string[]]>([
    ['a good one', apiService(reference), []],
    ['a local one', apiService(), []],
    ['another name', { ...apiService(reference), metadata: { name: 'x' } }, ['metadata.name']],
    [
      'no priorities',
      apiService(reference, { groupPriorityMinimum: 0, versionPriority: 1001 }),
      ['spec.groupPriorityMinimum', 'spec.versionPriority'],
    ],
    ['a service without name', apiService({}), ['spec.service.namespace', 'spec.service.name']],
    ['a port out of range', apiService({ ...reference, port: 70000 }), ['spec.service.port']],
    [
      'checked and unchecked TLS',
      apiService(reference, { caBundle: 'YQ==', insecureSkipTLSVerify: true }),
      ['spec.insecureSkipTLSVerify'],
    ],
    [
      'a local one with TLS',
      apiService(undefined, { caBundle: 'YQ==', insecureSkipTLSVerify: true }),
      ['spec.caBundle', 'spec.insecureSkipTLSVerify'],
    ],
  ])('%s', (_, object, fields) => {
    expect(apiServiceErrors(object as unknown as UnknownObject).map(({ field }) => field)).toEqual(fields);
  });
});

it('names the user in headers, with every character a header can have and the others encoded', () => {
  const extra = { 'example.org/roles': ['a', 'b'] };
  expect(remoteUserHeaders({ name: 'Jörg', uid: 'u', groups: ['g1', 'g2'], extra })).toEqual({
    'x-remote-user': Buffer.from('Jörg').toString('latin1'),
    'x-remote-uid': 'u',
    'x-remote-group': ['g1', 'g2'],
    'x-remote-extra-example.org%2Froles': ['a', 'b'],
  });
});

it('has one automatic APIService per group and version, none for its own group', () => {
  const names = automaticServices(createRegistry()).map(({ name }) => name);
  expect(names).toContain('v1.');
  expect(names).toContain('v2.autoscaling');
  expect(names).not.toContain('v1.apiregistration.k8s.io');
  expect(new Set(names).size).toBe(names.length);
});

it('lists aggregated groups behind the built-in ones, stale when they do not answer', () => {
  const registry = createRegistry();
  const body = JSON.stringify({
    kind: 'APIResourceList',
    resources: [
      { name: 'fruits', singularName: 'fruit', namespaced: true, kind: 'Fruit', verbs: ['get'], shortNames: ['fr'] },
      { name: 'fruits/status', kind: 'Fruit', verbs: ['update'] },
    ],
  });
  registry.setRemote([
    {
      group: 'shop.example',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      resources: remoteResources(body, 'shop.example', 'v1'),
      stale: true,
    },
  ]);
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const document = JSON.parse(discoveryDocument(registry, '/apis', accept)?.body.toString() ?? '') as {
    items: { metadata: { name: string }; versions: object[] }[];
  };
  const responseKind = { group: 'shop.example', version: 'v1', kind: 'Fruit' };
  expect(document.items.at(-1)).toEqual({
    metadata: { name: 'shop.example' },
    versions: [
      {
        version: 'v1',
        freshness: 'Stale',
        resources: [
          {
            resource: 'fruits',
            responseKind,
            scope: 'Namespaced',
            singularResource: 'fruit',
            verbs: ['get'],
            shortNames: ['fr'],
            subresources: [{ subresource: 'status', responseKind, verbs: ['update'] }],
          },
        ],
      },
    ],
  });
});

it('keeps what other API servers say about certificates, drops what is no certificate', () => {
  const own = { 'client-ca-file': '', 'requestheader-allowed-names': '["a"]' };
  const before = { 'client-ca-file': 'nonsense', 'requestheader-allowed-names': '["b"]', other: 'x' };
  expect(mergedFacts(before, own, new Date())).toEqual({
    'client-ca-file': '',
    'requestheader-allowed-names': '["b","a"]',
    other: 'x',
  });
});
