import { describe, expect, it } from 'vitest';
import { applyPatch, updateManagedFields } from '../../../src/components/apiserver/managedfields/field-manager.ts';
import type { ResourceDescriptor } from '../../../src/components/apiserver/types.ts';
import { type StructuralSchema, typeSchemaFromOpenApi } from '../../../src/machinery/api/schema/from-openapi.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { at, descriptorOf, owned } from './objects.ts';

const text: StructuralSchema = { type: 'string' };
const openApi: StructuralSchema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        tags: { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
        plain: { type: 'array', items: text },
        rules: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', properties: { name: text, value: text } },
        },
        one: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: text, b: text } },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
    status: { type: 'object', properties: { ready: { type: 'boolean' } } },
  },
};

const objectMeta = descriptorOf('', 'v1', 'pods').schema.fields['metadata']?.schema;
if (!objectMeta) throw new Error('pods have no metadata');
const widgets: ResourceDescriptor = {
  ...descriptorOf('', 'v1', 'pods'),
  group: 'example.com',
  resource: 'widgets',
  kind: 'Widget',
  schema: typeSchemaFromOpenApi('com.example.v1.Widget', openApi, objectMeta),
};

const widget = (spec: object, rest: object = {}): UnknownObject =>
  ({
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w', labels: { a: 'b' } },
    spec,
    ...rest,
  }) as UnknownObject;

describe('ownership of custom resources', () => {
  it('follows the list and map types of the schema', () => {
    const spec = {
      tags: ['x', 'y'],
      plain: ['p'],
      rules: [{ name: 'r', value: '1' }],
      one: { a: '1', b: '2' },
      free: { deep: { inner: 1, list: [1] } },
    };
    const made = updateManagedFields(widgets, undefined, widget(spec), { manager: 'm', now: at(0) });
    expect(owned(made)['m Update']).toEqual({
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        '.': {},
        'f:tags': { '.': {}, 'v:"x"': {}, 'v:"y"': {} },
        'f:plain': {},
        'f:rules': { '.': {}, 'k:{"name":"r"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
        'f:one': {},
        'f:free': { '.': {}, 'f:deep': { '.': {}, 'f:inner': {}, 'f:list': {} } },
      },
    });
  });

  it('merges sets and keyed lists of several appliers', () => {
    const write = (manager: string) => ({ manager, force: false, now: at(1) });
    const one = applyPatch(
      widgets,
      undefined,
      widget({ tags: ['x'], rules: [{ name: 'r', value: '1' }] }),
      write('one'),
    );
    const two = applyPatch(widgets, one, widget({ tags: ['y'], rules: [{ name: 's' }], free: { a: 1 } }), write('two'));
    expect(two['spec']).toEqual({
      tags: ['x', 'y'],
      rules: [{ name: 'r', value: '1' }, { name: 's' }],
      free: { a: 1 },
    });
    const left = applyPatch(widgets, two, widget({ tags: ['x'] }), write('one'));
    expect(left['spec']).toEqual({ tags: ['x', 'y'], rules: [{ name: 's' }], free: { a: 1 } });
  });

  it('lets a status update own nothing but the status', () => {
    const made = updateManagedFields(widgets, undefined, widget({}), { manager: 'm', now: at(0) });
    const next = widget({ plain: ['q'] }, { status: { ready: true } });
    const after = updateManagedFields(widgets, made, next, { manager: 'c', subresource: 'status', now: at(1) });
    expect(owned(after)['c Update status']).toEqual({ 'f:status': { '.': {}, 'f:ready': {} } });
  });
});
