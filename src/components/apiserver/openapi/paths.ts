/** Paths and operations of a group version, as far as clients read them: which verbs there are, with which parameters and bodies. */

import { typeTable } from '../registry/type-facts.ts';
import type { ApiRegistry, ResourceDescriptor } from '../types.ts';
import type { Flavour, Json, SchemaSet } from './schemas.ts';

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const media = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const patchMedia = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

interface Operation {
  method: string;
  action: string;
  /** Query parameters by name → type. */
  query: Record<string, string>;
  body?: Json;
  answer: Json;
}

const listQuery = {
  allowWatchBookmarks: 'boolean',
  continue: 'string',
  fieldSelector: 'string',
  labelSelector: 'string',
  limit: 'integer',
  resourceVersion: 'string',
  resourceVersionMatch: 'string',
  sendInitialEvents: 'boolean',
  timeoutSeconds: 'integer',
  watch: 'boolean',
};
const writeQuery = { dryRun: 'string', fieldManager: 'string', fieldValidation: 'string' };
const deleteQuery = {
  dryRun: 'string',
  gracePeriodSeconds: 'integer',
  orphanDependents: 'boolean',
  propagationPolicy: 'string',
};

const parameter = (flavour: Flavour, name: string, place: 'query' | 'path', type: string): Json =>
  flavour === 'v2'
    ? { name, in: place, type, uniqueItems: true, ...(place === 'path' ? { required: true } : {}) }
    : { name, in: place, schema: { type, uniqueItems: true }, ...(place === 'path' ? { required: true } : {}) };

/** Adds the paths of one resource, and what they refer to. */
export function addPaths(paths: Json, flavour: Flavour, set: SchemaSet, descriptor: ResourceDescriptor): void {
  const { group, version, resource, namespaced, verbs } = descriptor;
  const base = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const collection = namespaced ? `${base}/namespaces/{namespace}/${resource}` : `${base}/${resource}`;
  const table = typeTable();
  const kindOf = ({ group, version, kind }: { group: string; version: string; kind: string }) => ({
    group,
    version,
    kind,
  });
  const typed = (target: { group: string; version: string; kind: string }): Json => {
    const schema =
      target.kind === descriptor.kind ? descriptor.schema : table.kind(target.group, target.version, target.kind);
    return schema ? set.reference(schema, [kindOf(target)]) : { type: 'object' };
  };
  const object = typed(descriptor);
  const listSchema = table.kind(group, version, descriptor.listKind);
  const metaType = (name: string) => {
    const schema = table.type(`${meta}.${name}`);
    return schema ? set.reference(schema) : { type: 'object' };
  };
  const list = listSchema
    ? set.reference(listSchema, [{ group, version, kind: descriptor.listKind }])
    : set.define(`${descriptor.schema.name}List`, {
        type: 'object',
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: metaType('ListMeta'),
          items: { type: 'array', items: object },
        },
        required: ['items'],
        'x-kubernetes-group-version-kind': [{ group, version, kind: descriptor.listKind }],
      });
  const status = metaType('Status');
  const patch = set.define(`${meta}.Patch`, { type: 'object' });
  const put = (path: string, gvk: Json, operations: Operation[]) => {
    if (!operations.length) return;
    const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) =>
      parameter(flavour, name as string, 'path', 'string'),
    );
    paths[path] = {
      ...Object.fromEntries(
        operations.map((operation) => [operation.method, render(flavour, operation, gvk, `${path}`)]),
      ),
      parameters: [...places, parameter(flavour, 'pretty', 'query', 'string')],
    };
  };
  const collectionOperations: Operation[] = [];
  if (verbs.includes('list'))
    collectionOperations.push({ method: 'get', action: 'list', query: listQuery, answer: list });
  if (verbs.includes('create'))
    collectionOperations.push({ method: 'post', action: 'post', query: writeQuery, body: object, answer: object });
  if (verbs.includes('deletecollection'))
    collectionOperations.push({
      method: 'delete',
      action: 'deletecollection',
      query: { ...listQuery, ...deleteQuery },
      body: metaType('DeleteOptions'),
      answer: status,
    });
  put(collection, kindOf(descriptor), collectionOperations);
  if (namespaced && verbs.includes('list'))
    put(`${base}/${resource}`, kindOf(descriptor), [{ method: 'get', action: 'list', query: listQuery, answer: list }]);
  const single = (wanted: string[], body: Json): Operation[] => {
    const operations: Operation[] = [];
    if (wanted.includes('get')) operations.push({ method: 'get', action: 'get', query: {}, answer: body });
    if (wanted.includes('create'))
      operations.push({ method: 'post', action: 'post', query: writeQuery, body, answer: body });
    if (wanted.includes('update'))
      operations.push({ method: 'put', action: 'put', query: writeQuery, body, answer: body });
    if (wanted.includes('patch'))
      operations.push({
        method: 'patch',
        action: 'patch',
        query: { ...writeQuery, force: 'boolean' },
        body: patch,
        answer: body,
      });
    if (wanted.includes('delete'))
      operations.push({
        method: 'delete',
        action: 'delete',
        query: deleteQuery,
        body: metaType('DeleteOptions'),
        answer: status,
      });
    return operations;
  };
  put(
    `${collection}/{name}`,
    kindOf(descriptor),
    single(
      verbs.filter((verb) => verb !== 'create'),
      object,
    ),
  );
  for (const subresource of descriptor.subresources)
    put(`${collection}/{name}/${subresource.name}`, kindOf(subresource), single(subresource.verbs, typed(subresource)));
}

function render(flavour: Flavour, { method, action, query, body, answer }: Operation, gvk: Json, path: string): Json {
  const parameters: Json[] = Object.entries(query).map(([name, type]) => parameter(flavour, name, 'query', type));
  const consumes = action === 'patch' ? patchMedia : media;
  const common = {
    operationId: operationId(action, path),
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  };
  if (flavour === 'v2')
    return {
      ...common,
      consumes: action === 'patch' ? patchMedia : ['*/*'],
      produces: media,
      schemes: ['https'],
      parameters: body
        ? [
            { name: 'body', in: 'body', ...(method === 'delete' ? {} : { required: true }), schema: body },
            ...parameters,
          ]
        : parameters,
      responses: { 200: { description: 'OK', schema: answer }, 401: { description: 'Unauthorized' } },
    };
  const content = (types: string[], schema: Json) => Object.fromEntries(types.map((type) => [type, { schema }]));
  return {
    ...common,
    parameters,
    ...(body
      ? {
          requestBody: {
            content: content(method === 'delete' ? ['*/*'] : consumes, body),
            ...(method === 'delete' ? {} : { required: true }),
          },
        }
      : {}),
    responses: { 200: { description: 'OK', content: content(media, answer) }, 401: { description: 'Unauthorized' } },
  };
}

const operationId = (action: string, path: string) =>
  `${action}${path
    .replace(/[{}]/g, '')
    .split(/[/.-]/)
    .filter(Boolean)
    .map((word) => word[0]?.toUpperCase() + word.slice(1))
    .join('')}`;

/** Descriptors by `api/v1` or `apis/<group>/<version>`. */
export function groupVersions(registry: ApiRegistry): Map<string, ResourceDescriptor[]> {
  const found = new Map<string, ResourceDescriptor[]>();
  for (const descriptor of registry.all()) {
    const path = descriptor.group ? `apis/${descriptor.group}/${descriptor.version}` : `api/${descriptor.version}`;
    found.set(path, [...(found.get(path) ?? []), descriptor]);
  }
  return found;
}
