/**
 * Writes the compact facts about the API that the API server reads: which resources are served, and every type's fields.
 *
 * `node scripts/generate-api-facts.ts <folder of API data>`: the folder holds `live/` (what a v1.36 server with default flags
 * answers) and `protobuf-api.json`. Go's pointer and omitempty facts come from `scripts/facts/go-fields.json`.
 * Nothing but names, types and numbers is taken over: no prose.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GoFields, goFlags } from './facts/go-flags.ts';
import { type ProtoMessages, protoMessages, protoPaths } from './facts/proto-paths.ts';

interface OpenApiSchema {
  type?: string;
  format?: string;
  $ref?: string;
  allOf?: OpenApiSchema[];
  items?: OpenApiSchema;
  properties?: Record<string, OpenApiSchema>;
  additionalProperties?: OpenApiSchema;
  required?: string[];
  default?: unknown;
  enum?: string[];
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-patch-strategy'?: string;
  'x-kubernetes-patch-merge-key'?: string;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}

type Field = Record<string, unknown>;

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const crd = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';
/** Types that are one JSON value: type letter and, for untyped ones, how protobuf wraps them. */
const scalars: Record<string, Field> = {
  [`${meta}Time`]: { t: 'T' },
  [`${meta}MicroTime`]: { t: 'M' },
  [`${meta}Duration`]: { t: 'D' },
  [`${meta}FieldsV1`]: { t: '*', o: 'fields' },
  [`${meta}Patch`]: { t: '*', o: 'json' },
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { t: 'Q' },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { t: 'I' },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': { t: '*', o: 'raw' },
  [`${crd}JSON`]: { t: '*', o: 'json' },
  [`${crd}JSONSchemaPropsOrBool`]: { t: '*', o: 'schemaOrBool' },
  [`${crd}JSONSchemaPropsOrArray`]: { t: '*', o: 'schemaOrArray' },
  [`${crd}JSONSchemaPropsOrStringArray`]: { t: '*', o: 'schemaOrStringArray' },
};
const letters: Record<string, string> = { string: 's', integer: 'i', number: 'n', boolean: 'b' };

const refOf = (schema: OpenApiSchema): string | undefined =>
  (schema.$ref ?? schema.allOf?.[0]?.$ref)?.replace('#/components/schemas/', '').replace('#/definitions/', '');

/** The part of a field's facts that its elements have too. */
function valueFacts(schema: OpenApiSchema, owner: string): Field {
  const ref = refOf(schema);
  if (ref) {
    const scalar = scalars[ref];
    if (scalar) return { ...scalar };
    const ownerPackage = owner.slice(0, owner.lastIndexOf('.'));
    return { t: 'o', r: ref.startsWith(`${ownerPackage}.`) ? ref.slice(ownerPackage.length) : ref };
  }
  if (schema.items) return { t: 'a', i: valueFacts(schema.items, owner) };
  if (schema.additionalProperties) return { t: 'm', i: valueFacts(schema.additionalProperties, owner) };
  if (schema.type === 'string' && schema.format === 'byte') return { t: 'B' };
  const letter = letters[schema.type ?? ''];
  if (!letter) return { t: '*', o: 'json' };
  return {
    t: letter,
    ...(schema.format ? { o: schema.format } : {}),
    ...(schema.enum ? { e: schema.enum } : {}),
  };
}

/** What Go writes for an unset field, and whether it is a pointer. */
function goFacts(facts: Field, schema: OpenApiSchema, required: boolean, known: string | undefined): Field {
  const type = facts['t'] as string;
  const list = type === 'a' || type === 'm' || type === 'B';
  const unset: Record<string, unknown> = { T: null, M: null, Q: '0', I: 0, D: '0s', '*': null };
  // Not in the Go sources: new optional scalars are pointers (the API linter asks for it); OpenAPI gives values a default.
  const isZeroDefault = ['', 0, false].includes(schema.default as never);
  const guessed = `${!list && !isZeroDefault && JSON.stringify(schema.default) !== '{}' && !required ? 'p' : ''}${required || isZeroDefault ? '' : 'e'}`;
  const flags = known ?? guessed;
  const omitEmpty = flags.includes('e');
  if (flags.includes('p')) return { p: 1, ...(omitEmpty ? {} : { z: null }) };
  if (flags.includes('z')) return {};
  if (list) return omitEmpty ? {} : { z: null };
  if (type === 'o') return { z: {} };
  if (type in unset) return { z: unset[type] };
  return omitEmpty ? {} : { z: type === 's' ? '' : type === 'b' ? false : 0 };
}

function typeFacts(name: string, schema: OpenApiSchema, go: GoFields, messages: ProtoMessages): Field {
  const paths = protoPaths(messages, name);
  const fields: Record<string, Field> = {};
  for (const [fieldName, field] of Object.entries(schema.properties ?? {})) {
    const required = schema.required?.includes(fieldName) ?? false;
    const facts = valueFacts(field, name);
    const explicitDefault =
      field.default !== undefined && !['{}', '""', '0', 'false'].includes(JSON.stringify(field.default));
    const isTypeMeta =
      schema['x-kubernetes-group-version-kind'] && (fieldName === 'apiVersion' || fieldName === 'kind');
    const path = isTypeMeta ? undefined : paths(fieldName);
    fields[fieldName] = {
      ...facts,
      ...(required ? { q: 1 } : {}),
      ...(explicitDefault ? { d: field.default } : {}),
      ...(field['x-kubernetes-list-type'] ? { l: field['x-kubernetes-list-type'] } : {}),
      ...(field['x-kubernetes-list-map-keys'] ? { k: field['x-kubernetes-list-map-keys'] } : {}),
      ...(field['x-kubernetes-map-type'] ? { m: field['x-kubernetes-map-type'] } : {}),
      ...(field['x-kubernetes-patch-strategy'] ? { s: field['x-kubernetes-patch-strategy'] } : {}),
      ...(field['x-kubernetes-patch-merge-key'] ? { g: field['x-kubernetes-patch-merge-key'] } : {}),
      ...(isTypeMeta ? {} : goFacts(facts, field, required, goFlags(go, name, fieldName))),
      ...(path ? { n: path.length === 1 ? path[0] : path } : {}),
    };
  }
  return { ...(schema['x-kubernetes-map-type'] === 'atomic' ? { a: 1 } : {}), f: fields };
}

const source = process.argv[2];
if (!source) throw new Error('usage: generate-api-facts.ts <folder of API data>');
const read = (path: string) => JSON.parse(readFileSync(join(source, path), 'utf8'));
const assets = join(import.meta.dirname, '../src/components/apiserver/assets');
mkdirSync(assets, { recursive: true });

const v2: Record<string, OpenApiSchema> = read('live/openapi-v2.json').definitions;
const v3: Record<string, OpenApiSchema> = {};
for (const path of Object.keys(read('live/openapi-v3-index.json').paths)) {
  const document = read(`live/openapi-v3/${path.replaceAll('/', '__')}.json`);
  Object.assign(v3, document.components?.schemas ?? {});
}
const go: GoFields = JSON.parse(readFileSync(join(import.meta.dirname, 'facts/go-fields.json'), 'utf8'));
const messages = protoMessages(read('protobuf-api.json'));
const partial = `${meta}PartialObjectMetadata`;
const v2Meta = { $ref: `#/definitions/${meta}ObjectMeta` };
const types: Record<string, OpenApiSchema> = {
  ...v2,
  ...v3,
  [partial]: {
    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: v2Meta },
    'x-kubernetes-group-version-kind': [],
  },
  [`${partial}List`]: {
    properties: {
      apiVersion: { type: 'string' },
      items: { type: 'array', items: { $ref: `#/definitions/${partial}` } },
      kind: { type: 'string' },
      metadata: { $ref: `#/definitions/${meta}ListMeta` },
    },
    'x-kubernetes-group-version-kind': [],
  },
};
const lines = Object.keys(types)
  .filter((name) => !scalars[name] && !name.endsWith('.version.Info'))
  .sort()
  .map((name) => {
    const kinds = types[name]!['x-kubernetes-group-version-kind'] ?? [];
    const kind = kinds.length === 1 ? `${kinds[0]!.group}/${kinds[0]!.version}/${kinds[0]!.kind}` : '';
    return `${name}\t${kind}\t${JSON.stringify(typeFacts(name, types[name]!, go, messages))}\n`;
  });
writeFileSync(join(assets, 'types.tsv'), lines.join(''));

interface Discovered {
  metadata: { name?: string };
  versions: { version: string; resources: Record<string, unknown>[] }[];
}
const groups: Discovered[] = [...read('live/aggregated-api.json').items, ...read('live/aggregated-apis.json').items];
const compact = groups.map((group) => ({
  group: group.metadata.name ?? '',
  versions: group.versions.map(({ version, resources }) => ({ version, resources })),
}));
const text = `[\n${compact.map((group) => JSON.stringify(group)).join(',\n')}\n]\n`;
writeFileSync(
  join(assets, 'resources.json'),
  text.replaceAll('"responseKind":{"group":"","version":"","kind":', '"responseKind":{"kind":'),
);
