/** OpenAPI schemas of API types, made from the table of types: the dialect of version 2 or of version 3. */
import type { TypeTable } from '../../../machinery/api/schema/type-table.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';

export type Dialect = 'v2' | 'v3';
export type Json = Record<string, unknown>;

export interface GroupVersion {
  group: string;
  version: string;
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const extensions = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';

/** Types that are one JSON value, by the table's type or format. */
const scalarTypes: Record<string, string> = {
  time: `${meta}Time`,
  microTime: `${meta}MicroTime`,
  duration: `${meta}Duration`,
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  intOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  raw: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  fields: `${meta}FieldsV1`,
  json: `${extensions}JSON`,
  schemaOrBool: `${extensions}JSONSchemaPropsOrBool`,
  schemaOrArray: `${extensions}JSONSchemaPropsOrArray`,
  schemaOrStringArray: `${extensions}JSONSchemaPropsOrStringArray`,
};

const required = (names: string): string[] => names.split(' ');
const text = { type: 'string' };
const versionFields =
  'buildDate compiler emulationMajor emulationMinor gitCommit gitTreeState gitVersion goVersion major minCompatibilityMajor minCompatibilityMinor minor platform';

/** Definitions that are not in the table. */
const otherTypes: Record<string, { v2: Json; v3?: Json }> = {
  [`${meta}Time`]: { v2: { type: 'string', format: 'date-time' } },
  [`${meta}MicroTime`]: { v2: { type: 'string', format: 'date-time' } },
  [`${meta}Duration`]: { v2: text },
  [`${meta}FieldsV1`]: { v2: { type: 'object' } },
  [`${meta}Patch`]: { v2: { type: 'object' } },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': { v2: { type: 'object' } },
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { v2: text, v3: { oneOf: [text, { type: 'number' }] } },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': {
    v2: { type: 'string', format: 'int-or-string' },
    v3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, text] },
  },
  [`${extensions}JSON`]: { v2: {} },
  [`${extensions}JSONSchemaPropsOrBool`]: { v2: {} },
  [`${extensions}JSONSchemaPropsOrArray`]: { v2: {} },
  [`${extensions}JSONSchemaPropsOrStringArray`]: { v2: {} },
  'io.k8s.apimachinery.pkg.version.Info': {
    v2: {
      type: 'object',
      required: required('major minor gitVersion gitCommit gitTreeState buildDate goVersion compiler platform'),
      properties: Object.fromEntries(versionFields.split(' ').map((field) => [field, text])),
    },
  },
};

/** Kinds that are read in every group and version. */
const everywhere = new Set(['DeleteOptions', 'WatchEvent']);
const metaKinds = new Set(['APIGroup', 'APIGroupList', 'APIResourceList', 'APIVersions', 'Status']);

export function reference(dialect: Dialect, name: string): string {
  return `#/${dialect === 'v2' ? 'definitions' : 'components/schemas'}/${name}`;
}

export interface SchemaSource {
  types: TypeTable;
  /** Definitions of custom kinds by name. */
  custom: Map<string, Json>;
  groupVersions: GroupVersion[];
  /** Those that the document is about. */
  documented: GroupVersion[];
}

/** All definitions that the named ones lead to. */
export function definitions(dialect: Dialect, source: SchemaSource, roots: Iterable<string>): Record<string, Json> {
  const found = new Map<string, Json>();
  const waiting = [...roots];
  const ref = (name: string): Json => {
    waiting.push(name);
    return { $ref: reference(dialect, name) };
  };
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.set(name, {});
    found.set(name, definition(dialect, source, name, ref));
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function definition(dialect: Dialect, source: SchemaSource, name: string, ref: (name: string) => Json): Json {
  const other = otherTypes[name];
  if (other) return (dialect === 'v3' ? other.v3 : undefined) ?? other.v2;
  const custom = source.custom.get(name);
  if (custom) {
    for (const used of referencedNames(custom)) ref(used);
    return custom;
  }
  const type = source.types.type(name);
  if (!type) throw new Error(`no type ${name} for OpenAPI`);
  const properties: Json = {};
  const needed: string[] = [];
  for (const [field, schema] of Object.entries(type.fields)) {
    properties[field] = property(dialect, schema, ref);
    if (schema.required) needed.push(field);
  }
  const kinds = kindsOf(source, type);
  return {
    type: 'object',
    ...(needed.length ? { required: needed } : {}),
    ...(Object.keys(properties).length ? { properties } : {}),
    ...(kinds.length ? { 'x-kubernetes-group-version-kind': kinds } : {}),
    ...(type.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
  };
}

function property(dialect: Dialect, field: FieldSchema, ref: (name: string) => Json): Json {
  const base = value(dialect, field, ref);
  const siblings: Json = {
    ...(dialect === 'v3' ? defaultOf(field) : {}),
    ...(field.listMapKeys ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
    ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
    ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
    ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
    ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy } : {}),
  };
  if (dialect === 'v3' && '$ref' in base) return { allOf: [base], ...siblings };
  return { ...base, ...siblings };
}

function defaultOf(field: FieldSchema): Json {
  if (field.default !== undefined) return { default: field.default };
  const { zero } = field;
  if (zero === undefined || zero === null || field.type === 'quantity' || field.type === 'duration') return {};
  return field.type === 'intOrString' ? {} : { default: zero };
}

function value(dialect: Dialect, field: FieldSchema, ref: (name: string) => Json): Json {
  switch (field.type) {
    case 'object':
      return field.schema ? ref(field.schema.name) : { type: 'object' };
    case 'array':
      return { type: 'array', items: value(dialect, field.items ?? { type: 'any' }, ref) };
    case 'map':
      return { type: 'object', additionalProperties: value(dialect, field.items ?? { type: 'any' }, ref) };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return {
        type: field.type,
        ...(field.format ? { format: field.format } : {}),
        ...(field.enum ? { enum: field.enum } : {}),
      };
    default:
      return ref(scalarTypes[field.type === 'any' ? (field.format ?? 'json') : field.type] ?? `${extensions}JSON`);
  }
}

function kindsOf({ types, groupVersions, documented }: SchemaSource, type: TypeSchema): Json[] {
  const parts = type.name.split('.');
  const kind = parts.pop() ?? '';
  const version = parts.pop() ?? '';
  if (type.name.startsWith(meta)) {
    if (everywhere.has(kind)) return documented.map((known) => ({ group: known.group, kind, version: known.version }));
    return metaKinds.has(kind) ? [{ group: '', kind, version: 'v1' }] : [];
  }
  if (!type.fields['kind'] || !type.fields['apiVersion']) return [];
  const found = groupVersions.find(
    (known) => known.version === version && types.kind(known.group, version, kind)?.name === type.name,
  );
  return found ? [{ group: found.group, kind, version }] : [];
}

/** The names of all definitions that a schema refers to. */
export function referencedNames(schema: unknown): string[] {
  const names: string[] = [];
  JSON.stringify(schema, (key, value: unknown) => {
    if (key === '$ref' && typeof value === 'string') names.push(value.slice(value.lastIndexOf('/') + 1));
    return value;
  });
  return names;
}
