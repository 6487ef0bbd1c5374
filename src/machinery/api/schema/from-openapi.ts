/** Field facts of custom resources, from the structural OpenAPI v3 schema of a CustomResourceDefinition. */
import type { FieldSchema, TypeSchema } from './types.ts';

/** The parts of a structural schema that steer decoding and merging. */
export interface StructuralSchema {
  type?: string;
  format?: string;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema | boolean;
  items?: StructuralSchema;
  required?: string[];
  default?: unknown;
  enum?: unknown[];
  nullable?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
}

const scalarTypes: Record<string, FieldSchema['type']> = {
  string: 'string',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
};

/**
 * The type of a custom kind. `objectMeta` is the type of `metadata`, which structural schemas leave out.
 * Every list is atomic and every object granular unless the schema says otherwise, as upstream has it for custom resources.
 */
export function typeSchemaFromOpenApi(name: string, schema: StructuralSchema, objectMeta: TypeSchema): TypeSchema {
  const type = objectType(name, schema);
  const text: FieldSchema = { type: 'string' };
  return {
    ...type,
    fields: {
      ...type.fields,
      apiVersion: text,
      kind: text,
      metadata: { type: 'object', schema: objectMeta, zero: {} },
    },
  };

  function objectType(typeName: string, from: StructuralSchema): TypeSchema {
    const fields: Record<string, FieldSchema> = {};
    for (const [field, property] of Object.entries(from.properties ?? {})) {
      fields[field] = {
        ...value(`${typeName}.${field}`, property),
        ...(from.required?.includes(field) ? { required: true } : {}),
      };
    }
    if (from['x-kubernetes-embedded-resource']) {
      fields['apiVersion'] ??= { type: 'string', pointer: true };
      fields['kind'] ??= { type: 'string', pointer: true };
      fields['metadata'] = { type: 'object', schema: objectMeta };
    }
    return {
      name: typeName,
      fields,
      ...(from['x-kubernetes-map-type'] === 'atomic' ? { atomic: true } : {}),
      ...(from['x-kubernetes-preserve-unknown-fields'] ? { preserveUnknown: true } : {}),
    };
  }

  function value(typeName: string, from: StructuralSchema): FieldSchema {
    const shared: Pick<FieldSchema, 'default' | 'nullable' | 'pointer' | 'enum'> = {
      pointer: true,
      ...(from.default === undefined ? {} : { default: from.default }),
      ...(from.nullable ? { nullable: true } : {}),
    };
    if (from['x-kubernetes-int-or-string']) return { ...shared, type: 'intOrString' };
    if (from.type === 'array' && from.items) {
      const listType = from['x-kubernetes-list-type'] as FieldSchema['listType'];
      return {
        ...shared,
        type: 'array',
        items: value(`${typeName}.items`, from.items),
        listType: listType ?? 'atomic',
        ...(from['x-kubernetes-list-map-keys'] ? { listMapKeys: from['x-kubernetes-list-map-keys'] } : {}),
      };
    }
    if (from.type === 'object' && typeof from.additionalProperties === 'object' && !from.properties) {
      const mapType = from['x-kubernetes-map-type'] as FieldSchema['mapType'];
      const items = value(`${typeName}.values`, from.additionalProperties);
      return { ...shared, type: 'map', items, ...(mapType ? { mapType } : {}) };
    }
    if (from.type === 'object' && (from.properties || !isUntyped(from))) {
      return { ...shared, type: 'object', schema: objectType(typeName, from) };
    }
    const scalar = scalarTypes[from.type ?? ''];
    if (scalar) return { ...shared, type: scalar, ...(from.format ? { format: from.format } : {}) };
    return { ...shared, type: 'any', format: 'json', preserveUnknown: true };
  }
}

const isUntyped = (schema: StructuralSchema): boolean =>
  schema.additionalProperties === true ||
  (schema['x-kubernetes-preserve-unknown-fields'] === true && !schema['x-kubernetes-embedded-resource']);
