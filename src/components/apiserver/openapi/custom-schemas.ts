/** Definitions of custom kinds: the schema of their CustomResourceDefinition with the fields that every object has. */
import { isObject } from '../../../machinery/api/json.ts';
import type { StructuralSchema } from '../../../machinery/api/schema/from-openapi.ts';
import type { ResourceDescriptor } from '../types.ts';
import { type Dialect, type Json, reference } from './schemas.ts';

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

const texts = {
  apiVersion:
    'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources',
  kind: 'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
  metadata:
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
  list: 'Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
};

/** `com.example.stable.v1.CronTab` */
export const customTypeName = (group: string, version: string, kind: string): string =>
  [...group.split('.').reverse(), version, kind].join('.');

/** The kind's definition and its list's, by name. `schema` is the version's `openAPIV3Schema`, if it has one. */
export function customDefinitions(
  dialect: Dialect,
  descriptor: Pick<ResourceDescriptor, 'group' | 'version' | 'kind' | 'listKind'>,
  schema: StructuralSchema | undefined,
): [string, Json][] {
  const { group, version, kind, listKind } = descriptor;
  const name = customTypeName(group, version, kind);
  const ref = (type: string, description: string): Json =>
    dialect === 'v2'
      ? { description, $ref: reference(dialect, type) }
      : { description, allOf: [{ $ref: reference(dialect, type) }] };
  const typing = {
    apiVersion: { description: texts.apiVersion, type: 'string' },
    kind: { description: texts.kind, type: 'string' },
  };
  const body = schema ? publishable(dialect, schema as Json) : {};
  const open = !body['properties'] && (!schema || schema['x-kubernetes-preserve-unknown-fields'] === true);
  const definition: Json = {
    ...body,
    type: 'object',
    ...(open && dialect === 'v2'
      ? { 'x-kubernetes-preserve-unknown-fields': undefined }
      : {
          properties: {
            ...(body['properties'] as Json | undefined),
            ...typing,
            metadata: ref(`${meta}ObjectMeta`, texts.metadata),
          },
        }),
    'x-kubernetes-group-version-kind': [{ group, kind, version }],
  };
  const list: Json = {
    description: `${listKind} is a list of ${kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      ...typing,
      items: {
        description: `List of ${kind.toLowerCase()}s. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md`,
        type: 'array',
        items: { $ref: reference(dialect, name) },
      },
      metadata: ref(`${meta}ListMeta`, texts.list),
    },
    'x-kubernetes-group-version-kind': [{ group, kind: listKind, version }],
  };
  return [
    [name, definition],
    [customTypeName(group, version, listKind), list],
  ];
}

/** Version 2 knows no nullable values and no alternatives; a value that may be null has no type there. */
function publishable(dialect: Dialect, schema: Json): Json {
  if (dialect === 'v3') return schema;
  const {
    nullable,
    anyOf: _anyOf,
    oneOf: _oneOf,
    not: _not,
    allOf: _allOf,
    'x-kubernetes-validations': _rules,
    ...kept
  } = schema;
  for (const key of ['properties', 'patternProperties'] as const) {
    const members = kept[key];
    if (isObject(members)) {
      kept[key] = Object.fromEntries(
        Object.entries(members).map(([name, member]) => [
          name,
          isObject(member) ? publishable(dialect, member) : member,
        ]),
      );
    }
  }
  for (const key of ['items', 'additionalProperties'] as const) {
    const member = kept[key];
    if (isObject(member)) kept[key] = publishable(dialect, member);
  }
  if (kept['x-kubernetes-int-or-string'] === true) delete kept['type'];
  if (nullable === true || kept['x-kubernetes-preserve-unknown-fields'] === true) {
    for (const key of ['items', 'properties', 'additionalProperties', 'required']) delete kept[key];
    if (nullable === true) delete kept['type'];
  }
  return kept;
}
