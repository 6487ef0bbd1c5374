import { describe, expect, it } from 'vitest';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import { typeTable } from '../../../src/components/apiserver/registry/type-facts.ts';
import { typeSchemaFromOpenApi } from '../../../src/machinery/api/schema/from-openapi.ts';

describe('the registry of resources', () => {
  const registry = createRegistry();

  it.each([
    ['', 'v1', 'pods', '/registry/pods'],
    ['', 'v1', 'services', '/registry/services/specs'],
    ['', 'v1', 'endpoints', '/registry/services/endpoints'],
    ['', 'v1', 'nodes', '/registry/minions'],
    ['', 'v1', 'replicationcontrollers', '/registry/controllers'],
    ['apps', 'v1', 'deployments', '/registry/deployments'],
    ['networking.k8s.io', 'v1', 'ingresses', '/registry/ingress'],
    ['coordination.k8s.io', 'v1', 'leases', '/registry/leases'],
    ['apiregistration.k8s.io', 'v1', 'apiservices', '/registry/apiregistration.k8s.io/apiservices'],
  ])('keeps %s/%s %s below %s', (group, version, resource, prefix) => {
    expect(registry.find(group, version, resource)?.storage.prefix).toBe(prefix);
  });

  it('has a type for every kind that is served', () => {
    for (const descriptor of registry.all()) {
      expect(Object.keys(descriptor.schema.fields), `${descriptor.group} ${descriptor.kind}`).toContain('metadata');
    }
  });

  it('stores events of both groups and both versions of autoscalers as one', () => {
    expect(registry.find('events.k8s.io', 'v1', 'events')?.storage).toMatchObject({ group: '', version: 'v1' });
    expect(registry.find('autoscaling', 'v1', 'horizontalpodautoscalers')?.storage).toMatchObject({ version: 'v2' });
  });

  it('tells the kinds that are only posted', () => {
    const virtual = registry.all().filter((descriptor) => descriptor.virtual);
    expect(virtual.map(({ resource }) => resource)).toContain('tokenreviews');
    expect(virtual.map(({ resource }) => resource)).not.toContain('pods');
  });

  it('takes custom resources and tells its listeners', () => {
    let changes = 0;
    const stop = registry.onChange(() => changes++);
    const pods = registry.find('', 'v1', 'pods')!;
    registry.add({
      ...pods,
      group: 'example.com',
      resource: 'widgets',
      kind: 'Widget',
      listKind: 'WidgetList',
      schema: pods.schema,
    });
    expect(registry.findKind('example.com', 'v1', 'Widget')?.resource).toBe('widgets');
    registry.remove('example.com', 'v1', 'widgets');
    expect(registry.find('example.com', 'v1', 'widgets')).toBeUndefined();
    stop();
    registry.remove('', 'v1', 'none');
    expect(changes).toBe(2);
  });
});

describe('type facts', () => {
  const type = (name: string) => typeTable().type(`io.k8s.api.core.v1.${name}`)!;

  it('know merge keys, list types, field numbers and what Go writes for unset fields', () => {
    const { containers } = type('PodSpec').fields;
    expect(containers).toMatchObject({
      listType: 'map',
      listMapKeys: ['name'],
      patchMergeKey: 'name',
      required: true,
      proto: 2,
    });
    expect(type('Probe').fields['httpGet']?.proto).toEqual([1, 2]);
    expect(type('Container').fields['resources']?.zero).toEqual({});
    expect(type('PodCondition').fields['lastProbeTime']?.zero).toBeNull();
    expect(type('PodSpec').fields['hostNetwork']).toMatchObject({ pointer: false, zero: undefined });
    expect(type('PodSpec').fields['automountServiceAccountToken']).toMatchObject({ pointer: true });
  });

  it('are built from structural schemas of custom resources', () => {
    const schema = typeSchemaFromOpenApi(
      'Widget',
      {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            required: ['size'],
            properties: {
              size: { type: 'integer', default: 3 },
              labels: { type: 'object', additionalProperties: { type: 'string' } },
              parts: {
                type: 'array',
                'x-kubernetes-list-type': 'map',
                'x-kubernetes-list-map-keys': ['name'],
                items: { type: 'object', properties: { name: { type: 'string' } } },
              },
              anything: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              port: { 'x-kubernetes-int-or-string': true },
            },
          },
        },
      },
      typeTable().type('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')!,
    );
    const spec = schema.fields['spec']?.schema?.fields ?? {};
    expect(spec['size']).toMatchObject({ type: 'integer', required: true, default: 3 });
    expect(spec['parts']).toMatchObject({ type: 'array', listType: 'map', listMapKeys: ['name'] });
    expect(spec['labels']).toMatchObject({ type: 'map', items: { type: 'string' } });
    expect(spec['anything']).toMatchObject({ type: 'any', preserveUnknown: true });
    expect(spec['port']).toMatchObject({ type: 'intOrString' });
    expect(schema.fields['metadata']?.schema?.name).toContain('ObjectMeta');
  });
});
