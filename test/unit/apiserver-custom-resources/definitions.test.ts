import { describe, expect, it } from 'vitest';
import { rulesNotEvaluated } from '../../../src/components/apiserver/custom-resources/cel-rules.ts';
import { nextStatus } from '../../../src/components/apiserver/custom-resources/conditions.ts';
import type { Definition, Schema } from '../../../src/components/apiserver/custom-resources/definition.ts';
import {
  definitionErrors,
  definitionUpdateErrors,
} from '../../../src/components/apiserver/custom-resources/definition-validation.ts';
import { customDescriptors } from '../../../src/components/apiserver/custom-resources/descriptors.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const names = { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' };

function definition(change: Partial<Definition['spec']> = {}, schema: Schema = { type: 'object' }): Definition {
  const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }];
  return {
    metadata: { name: 'widgets.example.com' },
    spec: { group: 'example.com', scope: 'Namespaced', names, versions, ...change },
  };
}
const object = (given: Definition) => given as unknown as UnknownObject;
const lines = (errors: { field: string; message: string }[]) =>
  errors.map(({ field, message }) => `${field}: ${message}`);
const root = 'spec.versions[0].schema.openAPIV3Schema';

describe('a definition', () => {
  it('that is well formed is accepted', () => {
    expect(definitionErrors(object(definition()))).toEqual([]);
  });

  it.each<[string, Definition, string]>([
    [
      'is named after its names',
      definition({ group: 'other.com' }),
      'metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
    ],
    [
      'has a scope',
      definition({ scope: 'All' }),
      'spec.scope: Unsupported value: "All": supported values: "Cluster", "Namespaced"',
    ],
    [
      'of a protected group is approved',
      { ...definition({ group: 'x.k8s.io' }), metadata: { name: 'widgets.x.k8s.io' } },
      'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    ],
    [
      'tells kinds and lists apart',
      definition({ names: { ...names, listKind: 'Widget' } }),
      'spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same',
    ],
  ])('%s', (_, given, expected) => {
    expect(lines(definitionErrors(object(given)))).toContain(expected);
  });

  it('has exactly one version that is stored', () => {
    const [version] = definition().spec.versions;
    if (!version) throw new Error('no version');
    for (const versions of [[{ ...version, storage: false }], [version, { ...version, name: 'v2' }]])
      expect(lines(definitionErrors(object(definition({ versions })))).join()).toContain(
        'must have exactly one version marked as storage version',
      );
  });

  it.each<[string, Schema, string]>([
    ['has a type at the root', {}, `${root}.type: Required value: must not be empty at the root`],
    [
      'has types of fields',
      { type: 'object', properties: { a: {} } },
      `${root}.properties[a].type: Required value: must not be empty for specified object fields`,
    ],
    [
      'has items of arrays',
      { type: 'object', properties: { a: { type: 'array' } } },
      `${root}.properties[a].items: Required value: must be specified`,
    ],
    [
      'has either properties or additional ones',
      { type: 'object', properties: { a: { type: 'object', properties: {}, additionalProperties: true } } },
      `${root}.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
    ],
    [
      'tells types outside of alternatives',
      { type: 'object', properties: { a: { type: 'string', anyOf: [{ type: 'string' }] } } },
      `${root}.properties[a].anyOf[0].type: Forbidden: must be empty to be structural`,
    ],
    [
      'declares what alternatives mention',
      { type: 'object', oneOf: [{ properties: { b: {} } }] },
      `${root}.properties[b]: Required value: because it is defined in ${root}.oneOf[0].properties[b]`,
    ],
    [
      'names keys of map lists that exist',
      {
        type: 'object',
        properties: {
          a: {
            type: 'array',
            items: { type: 'object' },
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
          },
        },
      },
      `${root}.properties[a].x-kubernetes-list-map-keys[0]: Invalid value: "k": entries must all be names of item properties`,
    ],
    [
      'has defaults of the right type',
      { type: 'object', properties: { a: { type: 'integer', default: 'x' } } },
      `${root}.properties[a].default: Invalid value: "string": ${root}.properties[a].default in body must be of type integer: "string"`,
    ],
  ])('has a schema that %s', (_, schema, expected) => {
    expect(lines(definitionErrors(object(definition({}, schema))))).toContain(expected);
  });

  it('keeps the shape of integers or strings', () => {
    const either: Schema = { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] };
    expect(definitionErrors(object(definition({}, { type: 'object', properties: { a: either } })))).toEqual([]);
  });

  it('keeps its scope once it is established, and versions that objects are stored in', () => {
    const old = definition();
    old.status = { conditions: [{ type: 'Established', status: 'True' } as never], storedVersions: ['v1'] };
    const next = { ...definition({ scope: 'Cluster' }), status: { storedVersions: ['v0', 'v1'] } };
    expect(lines(definitionUpdateErrors(object(next), object(old)))).toEqual([
      'spec.scope: Invalid value: "Cluster": field is immutable',
      'status.storedVersions[0]: Invalid value: "v0": must appear in spec.versions',
    ]);
  });

  it('is established when its names are free', () => {
    const status = nextStatus(definition(), [], new Date(0));
    expect(status?.conditions?.map(({ type, status: is, reason }) => [type, is, reason])).toEqual([
      ['NamesAccepted', 'True', 'NoConflicts'],
      ['Established', 'True', 'InitialNamesAccepted'],
    ]);
    expect(status?.acceptedNames).toEqual(names);
    expect(nextStatus({ ...definition(), ...(status ? { status } : {}) }, [], new Date(1))).toBeUndefined();
  });

  it('is not established when a name is taken', () => {
    const other: Definition = { ...definition(), status: { acceptedNames: { plural: 'gadgets', kind: 'Widget' } } };
    const status = nextStatus(definition(), [other], new Date(0));
    expect(status?.conditions?.map(({ type, status: is, reason, message }) => [type, is, reason, message])).toEqual([
      ['NamesAccepted', 'False', 'KindConflict', '"Widget" is already in use'],
      ['Established', 'False', 'NotAccepted', 'not all names are accepted'],
    ]);
  });

  it('becomes a resource per served version', () => {
    const [version] = definition().spec.versions;
    if (!version) throw new Error('no version');
    const versions = [version, { ...version, name: 'v2', storage: false }, { ...version, name: 'v0', served: false }];
    const found = customDescriptors(definition({ group: 'gateway.k8s.io', versions }));
    expect(found.map(({ version: name, storage }) => [name, storage])).toEqual([
      ['v1', { group: 'gateway.k8s.io', version: 'v1', prefix: '/registry/gateway.k8s.io/widgets' }],
      ['v2', { group: 'gateway.k8s.io', version: 'v1', prefix: '/registry/gateway.k8s.io/widgets' }],
    ]);
    // Names of built-in types begin with io.k8s: the kinds of such a group are custom all the same.
    expect(found[0]?.schema.name.startsWith('io.k8s.')).toBe(false);
  });

  it('with rules that cannot be evaluated tells its writer', () => {
    const schema: Schema = {
      type: 'object',
      properties: { a: { type: 'string', 'x-kubernetes-validations': [{ rule: 'ip(self).family() == 4' }] } },
    };
    expect(rulesNotEvaluated(schema, 'schema').join()).toMatch(
      /^schema\.properties\[a\]\.x-kubernetes-validations\[0\]\.rule: the rule is accepted and not evaluated: /,
    );
  });
});
