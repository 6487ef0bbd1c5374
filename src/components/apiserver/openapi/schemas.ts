/** Types of the registry as OpenAPI schemas, v2 (`definitions`) and v3 (`components.schemas`). */
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';

export type Json = { [field: string]: unknown };
export type Flavour = 'v2' | 'v3';

const apimachinery = 'io.k8s.apimachinery.pkg';
/** Scalars that upstream gives a definition of their own. */
const scalars: Record<string, { name: string; v2: Json; v3?: Json }> = {
  quantity: {
    name: `${apimachinery}.api.resource.Quantity`,
    v2: { type: 'string' },
    v3: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  },
  intOrString: {
    name: `${apimachinery}.util.intstr.IntOrString`,
    v2: { type: 'string', format: 'int-or-string' },
    v3: { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
  },
  time: { name: `${apimachinery}.apis.meta.v1.Time`, v2: { type: 'string', format: 'date-time' } },
  microTime: { name: `${apimachinery}.apis.meta.v1.MicroTime`, v2: { type: 'string', format: 'date-time' } },
  duration: { name: `${apimachinery}.apis.meta.v1.Duration`, v2: { type: 'string' } },
  raw: { name: `${apimachinery}.runtime.RawExtension`, v2: { type: 'object' } },
  fields: { name: `${apimachinery}.apis.meta.v1.FieldsV1`, v2: { type: 'object' } },
};

const prefixes: Record<Flavour, string> = { v2: '#/definitions/', v3: '#/components/schemas/' };

/** Collects the definitions that are referred to, starting from those that are asked for. */
export class SchemaSet {
  readonly definitions: Record<string, Json> = {};
  readonly #flavour: Flavour;

  constructor(flavour: Flavour) {
    this.#flavour = flavour;
  }

  /** A reference to a type; its definition, and those that it needs, are added. */
  reference(schema: TypeSchema, kinds?: { group: string; version: string; kind: string }[]): Json {
    if (!this.definitions[schema.name]) {
      // Types may contain themselves.
      this.definitions[schema.name] = {};
      this.definitions[schema.name] = this.#definition(schema);
    }
    if (kinds) (this.definitions[schema.name] as Json)['x-kubernetes-group-version-kind'] = kinds;
    return { $ref: `${prefixes[this.#flavour]}${schema.name}` };
  }

  /** Adds a definition that has no type in the registry. */
  define(name: string, definition: Json): Json {
    this.definitions[name] ??= definition;
    return { $ref: `${prefixes[this.#flavour]}${name}` };
  }

  #definition(schema: TypeSchema): Json {
    const properties = Object.fromEntries(
      Object.entries(schema.fields).map(([name, field]) => [name, this.#field(field)]),
    );
    const required = Object.entries(schema.fields).flatMap(([name, field]) => (field.required ? [name] : []));
    return {
      type: 'object',
      ...(Object.keys(properties).length ? { properties } : {}),
      ...(required.length ? { required } : {}),
      ...(schema.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
      ...(schema.preserveUnknown ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    };
  }

  #field(field: FieldSchema): Json {
    const value = this.#value(field);
    const extensions: Json = {
      ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
      ...(field.listMapKeys ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
      ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
      ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy } : {}),
      ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
      ...(field.preserveUnknown ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
      ...(field.enum ? { enum: field.enum } : {}),
      ...(field.default === undefined ? {} : { default: field.default }),
    };
    if (!Object.keys(extensions).length) return value;
    // Nothing may stand beside a reference in v3.
    return value['$ref'] && this.#flavour === 'v3' ? { allOf: [value], ...extensions } : { ...value, ...extensions };
  }

  #value(field: FieldSchema): Json {
    const scalar = scalars[field.type] ?? (field.type === 'any' ? scalars[field.format ?? ''] : undefined);
    if (scalar) return this.define(scalar.name, this.#flavour === 'v3' ? (scalar.v3 ?? scalar.v2) : scalar.v2);
    switch (field.type) {
      case 'object':
        return field.schema ? this.reference(field.schema) : { type: 'object' };
      case 'array':
        return { type: 'array', items: field.items ? this.#field(field.items) : {} };
      case 'map':
        return { type: 'object', additionalProperties: field.items ? this.#field(field.items) : {} };
      case 'bytes':
        return { type: 'string', format: 'byte' };
      case 'any':
        return {};
      default:
        return { type: field.type, ...(field.format ? { format: field.format } : {}) };
    }
  }
}
