/** Paths as the OpenAPI documents of version 2 and version 3 write them. */
import type { Operation, PathOperations } from './operations.ts';
import { type Dialect, type Json, reference } from './schemas.ts';

const booleans = new Set([
  'allowWatchBookmarks',
  'follow',
  'force',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'insecureSkipTLSVerifyBackend',
  'orphanDependents',
  'previous',
  'sendInitialEvents',
  'stderr',
  'stdin',
  'stdout',
  'timestamps',
  'tty',
  'watch',
]);
const integers = new Set([
  'gracePeriodSeconds',
  'limit',
  'limitBytes',
  'ports',
  'sinceSeconds',
  'tailLines',
  'timeoutSeconds',
]);
const inPath: Record<string, (named: string) => string> = {
  name: (named) => `name of the ${named}`,
  namespace: () => 'object name and auth scope, such as for teams and projects',
  'path*': () => 'path to the resource',
};
const answerTexts: Record<string, string> = { 200: 'OK', 201: 'Created', 202: 'Accepted', 401: 'Unauthorized' };

export function renderPaths(dialect: Dialect, paths: PathOperations[]): Json {
  const sorted = [...paths].sort((a, b) => (a.path < b.path ? -1 : 1));
  return Object.fromEntries(sorted.map((path) => [path.path, renderPath(dialect, path)]));
}

function renderPath(dialect: Dialect, { named, operations }: PathOperations): Json {
  const kind = operations[0]?.action === 'connect' ? (operations[0].kind?.kind ?? named) : named;
  const parameter = (name: string) => renderParameter(dialect, name, kind);
  // What all operations take is said once for the path.
  const shared = (operations[0]?.parameters ?? []).filter((name) =>
    operations.every(({ parameters }) => parameters.includes(name)),
  );
  const item: Json = {};
  for (const operation of operations) {
    const own = operation.parameters.filter((name) => !shared.includes(name)).sort();
    const { method } = operation;
    item[method] = dialect === 'v2' ? renderV2(operation, own.map(parameter)) : renderV3(operation, own.map(parameter));
  }
  return shared.length ? { ...item, parameters: [...shared].sort().map(parameter) } : item;
}

function renderParameter(dialect: Dialect, name: string, named: string): Json {
  const type = booleans.has(name) ? 'boolean' : integers.has(name) ? 'integer' : 'string';
  const described = inPath[name];
  const place = {
    ...(described ? { description: described(named) } : {}),
    name: name.replace('*', ''),
    in: described ? 'path' : 'query',
    ...(described ? { required: true } : {}),
  };
  const value = { type, uniqueItems: true };
  return dialect === 'v2' ? { ...value, ...place } : { ...place, schema: value };
}

const schemaOf = (dialect: Dialect, type: string): Json =>
  type === 'string' ? { type } : { $ref: reference(dialect, type) };

const extensions = ({ action, kind }: Operation): Json => ({
  ...(action ? { 'x-kubernetes-action': action } : {}),
  ...(kind ? { 'x-kubernetes-group-version-kind': kind } : {}),
});

function renderV2(operation: Operation, parameters: Json[]): Json {
  const { description, tag, id, body, bodyTypes, answers, produces, action } = operation;
  const all = body
    ? [
        { name: 'body', in: 'body', ...(body.required ? { required: true } : {}), schema: schemaOf('v2', body.type) },
        ...parameters,
      ]
    : parameters;
  const responses: Json = {};
  for (const [code, type] of Object.entries(answers)) {
    responses[code] = { description: answerTexts[code], schema: schemaOf('v2', type) };
  }
  responses['401'] = { description: answerTexts['401'] };
  return {
    description,
    consumes: bodyTypes ?? (action ? ['*/*'] : produces),
    produces,
    schemes: ['https'],
    tags: [tag],
    operationId: id,
    ...(all.length ? { parameters: all } : {}),
    responses,
    ...extensions(operation),
  };
}

function renderV3(operation: Operation, parameters: Json[]): Json {
  const { description, tag, id, body, bodyTypes, answers, produces } = operation;
  const content = (types: string[], type: string): Json =>
    Object.fromEntries([...types].sort().map((media) => [media, { schema: schemaOf('v3', type) }]));
  const responses: Json = {};
  for (const [code, type] of Object.entries(answers)) {
    responses[code] = { description: answerTexts[code], content: content(produces, type) };
  }
  responses['401'] = { description: answerTexts['401'] };
  return {
    tags: [tag],
    description,
    operationId: id,
    ...(parameters.length ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            content: content(bodyTypes ?? ['*/*'], body.type),
            ...(body.required ? { required: true } : {}),
          },
        }
      : {}),
    responses,
    ...extensions(operation),
  };
}
