/** The OpenAPI documents as JSON, made anew for each request of a document that is not kept. */
import { readFileSync } from 'node:fs';
import type { StructuralSchema } from '../../../machinery/api/schema/from-openapi.ts';
import { createTypeTable } from '../../../machinery/api/schema/type-table.ts';
import { assetPath } from '../../../machinery/assets.ts';
import { builtInGroups } from '../registry/type-facts.ts';
import type { ApiRegistry, ResourceDescriptor } from '../types.ts';
import { customDefinitions, customTypeName } from './custom-schemas.ts';
import {
  basePath,
  discoveryPath,
  groupNames,
  type PathOperations,
  resourcePaths,
  type TypeNames,
} from './operations.ts';
import { renderPaths } from './render.ts';
import {
  type Dialect,
  definitions,
  type GroupVersion,
  type Json,
  referencedNames,
  type SchemaSource,
} from './schemas.ts';

/** Custom kinds' descriptors carry the schema that their CustomResourceDefinition gives for the version. */
export type Described = ResourceDescriptor & { openAPIV3Schema?: StructuralSchema };

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const title = { title: 'Kubernetes', version: '1.36' };
const bearer = { BearerToken: { type: 'apiKey', name: 'authorization', in: 'header' } };

/** Paths of version 3's index that belong to no group and version. */
const general: Record<string, (groups: string[]) => PathOperations[]> = {
  '.well-known/openid-configuration': () => [
    discoveryPath(
      '/.well-known/openid-configuration/',
      'getServiceAccountIssuerOpenIDConfiguration',
      'WellKnown',
      "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
      'string',
    ),
  ],
  'openid/v1/jwks': () => [
    discoveryPath(
      '/openid/v1/jwks/',
      'getServiceAccountIssuerOpenIDKeyset',
      'openid',
      'get service account issuer OpenID JSON Web Key Set (contains public token verification keys)',
      'string',
    ),
  ],
  version: () => [
    discoveryPath(
      '/version/',
      'getCodeVersion',
      'version',
      'get the version information for this server',
      'io.k8s.apimachinery.pkg.version.Info',
    ),
  ],
  api: () => [discoveryPath('/api/', 'getCoreAPIVersions', 'core', 'get available API versions', `${meta}APIVersions`)],
  apis: () => [discoveryPath('/apis/', 'getAPIVersions', 'apis', 'get available API versions', `${meta}APIGroupList`)],
};

function groupVersions(registry: ApiRegistry): GroupVersion[] {
  const known = new Map<string, GroupVersion>();
  for (const { group, version } of registry.all()) known.set(`${group}/${version}`, { group, version });
  return [...known.values()];
}

let builtIn: Set<string> | undefined;

/** Custom kinds may live in any group that is not built in, ones of `k8s.io` included. */
function isCustom({ group }: Described): boolean {
  builtIn ??= new Set(builtInGroups().map((known) => known.group));
  return !builtIn.has(group);
}

/** The paths of version 3's index (`api/v1`, `apis/apps`, …) and the descriptors behind each. */
export function indexPaths(registry: ApiRegistry): Map<string, Described[]> {
  const paths = new Map<string, Described[]>(Object.keys(general).map((path) => [path, []]));
  for (const descriptor of registry.all()) {
    const { group, version } = descriptor;
    if (group && !isCustom(descriptor)) paths.set(`apis/${group}`, paths.get(`apis/${group}`) ?? []);
    const path = basePath(group, version).slice(1);
    const served = paths.get(path);
    if (served) served.push(descriptor);
    else paths.set(path, [descriptor]);
  }
  return new Map([...paths].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sourceOf(
  dialect: Dialect,
  registry: ApiRegistry,
  descriptors: Described[],
  documented: GroupVersion[],
): SchemaSource {
  // A table of its own, so that nothing of it stays in memory.
  const types = createTypeTable(readFileSync(assetPath('apiserver', 'types.tsv'), 'utf8'));
  const custom = new Map<string, Json>();
  for (const descriptor of descriptors) {
    if (!isCustom(descriptor)) continue;
    for (const [name, json] of customDefinitions(dialect, descriptor, descriptor.openAPIV3Schema))
      custom.set(name, json);
  }
  return { types, custom, groupVersions: groupVersions(registry), documented };
}

function typeNames({ types, custom }: SchemaSource): TypeNames {
  return {
    kind(group, version, kind) {
      const name = customTypeName(group, version, kind);
      if (custom.has(name)) return name;
      return types.kind(group, version, kind)?.name ?? `${meta}Status`;
    },
  };
}

function pathsBehind(path: string, descriptors: Described[], names: TypeNames): PathOperations[] {
  const own = general[path];
  if (own) return own([]);
  const [, group = '', version] = path.startsWith('api/') ? ['', '', path.slice(4)] : path.split('/');
  if (!version) {
    const { id, tag } = groupNames(group, '');
    return [discoveryPath(`/apis/${group}/`, `get${id}APIGroup`, tag, 'get information of a group', `${meta}APIGroup`)];
  }
  const { id, tag } = groupNames(group, version);
  const isBuiltIn = descriptors.some((descriptor) => !isCustom(descriptor));
  const list = discoveryPath(
    `/${path}/`,
    `get${id}APIResources`,
    tag,
    'get available resources',
    `${meta}APIResourceList`,
  );
  return [
    ...(isBuiltIn ? [list] : []),
    ...descriptors.flatMap((descriptor) => resourcePaths(descriptor, names, isCustom(descriptor))),
  ];
}

/** The document behind one path of version 3's index. */
export function documentV3(registry: ApiRegistry, path: string, descriptors: Described[]): Json {
  const [first] = descriptors;
  const core = { group: '', version: 'v1' };
  const own =
    first && (first.group || first.version !== 'v1') ? [core, { group: first.group, version: first.version }] : [core];
  const source = sourceOf('v3', registry, descriptors, own);
  const paths = renderPaths('v3', pathsBehind(path, descriptors, typeNames(source)));
  const schemas = definitions('v3', source, [...source.custom.keys(), ...referencedNames(paths)]);
  return {
    openapi: '3.0.0',
    info: title,
    paths,
    components: { ...(Object.keys(schemas).length ? { schemas } : {}), securitySchemes: bearer },
  };
}

/** The one document of version 2. */
export function documentV2(registry: ApiRegistry): Json {
  const index = indexPaths(registry);
  const source = sourceOf('v2', registry, [...index.values()].flat(), groupVersions(registry));
  const names = typeNames(source);
  const operations = [...index].flatMap(([path, descriptors]) => pathsBehind(path, descriptors, names));
  const paths = renderPaths('v2', operations);
  return {
    swagger: '2.0',
    info: title,
    paths,
    definitions: definitions('v2', source, [...source.custom.keys(), ...referencedNames(paths)]),
    securityDefinitions: bearer,
    security: [{ BearerToken: [] }],
  };
}
