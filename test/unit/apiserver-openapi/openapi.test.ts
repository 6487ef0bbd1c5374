import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openApiDocument } from '../../../src/components/apiserver/openapi/openapi.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';

const registry = createRegistry();
interface Document {
  paths: Record<string, Record<string, { parameters?: { name: string }[] }> & { serverRelativeURL: string }>;
  components: { schemas: Record<string, { properties: Record<string, Record<string, unknown>> }> };
  definitions: Record<string, { 'x-kubernetes-group-version-kind'?: unknown }>;
}
function document(path: string): Document {
  const found = openApiDocument(registry, new URL(`https://x${path}`), 'application/json', 'gzip');
  if (!found) throw new Error(`no document at ${path}`);
  return JSON.parse(gunzipSync(found.body).toString()) as Document;
}

/** Every reference of a document, to see that none leads nowhere. */
function references(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [field, inner] of Object.entries(value)) {
    if (field === '$ref' && typeof inner === 'string') found.add(inner);
    else references(inner, found);
  }
  return found;
}

describe('OpenAPI v3', () => {
  test('the index names every group version, with the hash of its document', () => {
    const { paths } = document('/openapi/v3');
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/rbac.authorization.k8s.io/v1']),
    );
    for (const { serverRelativeURL } of Object.values(paths)) {
      const found = openApiDocument(registry, new URL(`https://x${serverRelativeURL}`), undefined, undefined);
      expect(found?.cacheControl).toBe('public, immutable');
    }
  });
  test('an outdated hash leads to the present one', () => {
    const found = openApiDocument(
      registry,
      new URL('https://x/openapi/v3/apis/apps/v1?hash=OLD'),
      undefined,
      undefined,
    );
    expect(found?.location).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/);
  });
  test('every reference of every document leads somewhere', () => {
    for (const name of Object.keys(document('/openapi/v3').paths)) {
      const { components, ...rest } = document(`/openapi/v3/${name}`);
      for (const reference of references({ components, rest }))
        expect(components.schemas).toHaveProperty([reference.split('/').at(-1) as string]);
    }
  });
  test('kubectl finds server-side field validation at the patch of a kind', () => {
    const path = document('/openapi/v3/apis/apps/v1').paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
    expect(path?.['patch']?.parameters?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['dryRun', 'fieldValidation']),
    );
  });
  test('lists say how they merge', () => {
    const { properties } = document('/openapi/v3/api/v1').components.schemas[
      'io.k8s.api.core.v1.PodSpec'
    ] as Document['components']['schemas'][string];
    expect(properties['containers']).toMatchObject({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
    });
  });
});

describe('OpenAPI v2', () => {
  test('has every kind under its name', () => {
    const { definitions } = document('/openapi/v2');
    expect(definitions['io.k8s.api.core.v1.Pod']?.['x-kubernetes-group-version-kind']).toEqual([
      { group: '', version: 'v1', kind: 'Pod' },
    ]);
    for (const reference of references(document('/openapi/v2')))
      expect(definitions).toHaveProperty([reference.split('/').at(-1) as string]);
  });
  test.each([
    ['application/com.github.proto-openapi.spec.v2@v1.0+protobuf'],
    ['application/com.github.proto-openapi.spec.v2.v1.0+protobuf'],
  ])('is written as protobuf for %s', (accept) => {
    const found = openApiDocument(registry, new URL('https://x/openapi/v2'), accept, '');
    expect(found?.contentType).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    // swagger: "2.0"
    expect(found?.body.subarray(0, 5).toString('hex')).toBe('0a03322e30');
  });
  test('is nothing else', () => {
    expect(() => openApiDocument(registry, new URL('https://x/openapi/v2'), 'text/html', '')).toThrow(
      'only the following media types are accepted',
    );
  });
});
