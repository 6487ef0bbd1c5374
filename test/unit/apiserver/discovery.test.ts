import { describe, expect, it } from 'vitest';
import { discoveryDocument } from '../../../src/components/apiserver/discovery/discovery.ts';
import { compareVersions } from '../../../src/components/apiserver/discovery/groups.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';

const registry = createRegistry();
const aggregatedAccept =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
const read = (path: string, accept = 'application/json') => {
  const document = discoveryDocument(registry, path, accept, '10.0.0.1:6443');
  return document && JSON.parse(document.body.toString());
};

describe('discovery', () => {
  it('lists the legacy group', () => {
    expect(read('/api')).toEqual({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '10.0.0.1:6443' }],
    });
  });

  it('lists groups with their preferred versions', () => {
    const { kind, groups } = read('/apis');
    expect(kind).toBe('APIGroupList');
    expect(groups).toHaveLength(20);
    expect(groups.find((group: { name: string }) => group.name === 'autoscaling').preferredVersion.version).toBe('v2');
    expect(read('/apis/apps')).toEqual({
      kind: 'APIGroup',
      apiVersion: 'v1',
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    });
  });

  it('lists resources and subresources, with foreign kinds of bodies named', () => {
    const { resources } = read('/apis/apps/v1');
    const named = (name: string) => resources.find((resource: { name: string }) => resource.name === name);
    expect(named('deployments')).toMatchObject({
      singularName: 'deployment',
      shortNames: ['deploy'],
      categories: ['all'],
      storageVersionHash: '8aSe+NMegvE=',
    });
    expect(named('deployments/scale')).toEqual({
      name: 'deployments/scale',
      singularName: '',
      namespaced: true,
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    });
  });

  it.each(['/apis/none', '/api/v2', '/apis/apps/v2', '/api/v1/pods', '/healthz'])('knows nothing of %s', (path) => {
    expect(read(path)).toBeUndefined();
  });

  it('answers clients that know it with the aggregated form and an ETag', () => {
    const document = discoveryDocument(registry, '/apis', aggregatedAccept)!;
    expect(document.contentType).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    expect(document.etag).toMatch(/^"[0-9A-F]{128}"$/);
    expect(document.headers['Vary']).toBe('Accept');
    expect(read('/api', aggregatedAccept).items[0].versions[0].resources[0]).toEqual({
      resource: 'bindings',
      responseKind: { group: '', version: '', kind: 'Binding' },
      scope: 'Namespaced',
      singularResource: 'binding',
      verbs: ['create'],
    });
    expect(read('/apis', aggregatedAccept.split(',')[1]).apiVersion).toBe('apidiscovery.k8s.io/v2beta1');
  });

  it('shows custom resources after the built-in ones as soon as they are added', () => {
    const before = discoveryDocument(registry, '/apis', aggregatedAccept)!.etag;
    const pods = registry.find('', 'v1', 'pods')!;
    const schema = { name: 'example.com/Widget', fields: {} };
    for (const version of ['v1alpha1', 'v2', 'v1']) {
      registry.add({ ...pods, schema, group: 'example.com', version, resource: 'widgets', kind: 'Widget' });
    }
    expect(discoveryDocument(registry, '/apis', aggregatedAccept)!.etag).not.toBe(before);
    expect(read('/apis').groups.at(-1)).toMatchObject({
      name: 'example.com',
      versions: [{ version: 'v2' }, { version: 'v1' }, { version: 'v1alpha1' }],
    });
    for (const version of ['v1alpha1', 'v2', 'v1']) registry.remove('example.com', version, 'widgets');
    expect(discoveryDocument(registry, '/apis', aggregatedAccept)!.etag).toBe(before);
  });

  it('orders versions as Kubernetes does', () => {
    const versions = ['foo1', 'v1alpha1', 'v10', 'v1beta2', 'v1', 'v2', 'v1beta1', 'bar'];
    expect(versions.sort((a, b) => compareVersions(b, a))).toEqual([
      'v10',
      'v2',
      'v1',
      'v1beta2',
      'v1beta1',
      'v1alpha1',
      'bar',
      'foo1',
    ]);
  });
});
