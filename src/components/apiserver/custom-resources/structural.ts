/** Whether a schema is structural: every field's type is told once, outside of allOf, anyOf, oneOf and not. */
import { type FieldError, forbiddenField, invalidValue, required } from '../validation/field-errors.ts';
import type { Schema } from './definition.ts';

const scalars = new Set(['string', 'integer', 'number', 'boolean']);
const types = new Set([...scalars, 'object', 'array']);

/** `path` is that of the openAPIV3Schema. */
export function structuralErrors(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!schema.type) errors.push(required(`${path}.type`, 'must not be empty at the root'));
  else if (schema.type !== 'object')
    errors.push(invalidValue(`${path}.type`, schema.type, 'must be object at the root'));
  if (schema.nullable) errors.push(forbiddenField(`${path}.nullable`, 'nullable cannot be true at the root'));
  const metadata = schema.properties?.['metadata'];
  const allowed = new Set(['name', 'generateName']);
  if (metadata && Object.keys(metadata.properties ?? {}).some((name) => !allowed.has(name)))
    errors.push(
      forbiddenField(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
  errors.push(...levelErrors(schema, path, 'root'));
  return errors;
}

type Level = 'root' | 'field' | 'item';

function levelErrors(schema: Schema, path: string, level: Level): FieldError[] {
  const errors: FieldError[] = [];
  const { type, properties, additionalProperties, items } = schema;
  const intOrString = schema['x-kubernetes-int-or-string'];
  const open = schema['x-kubernetes-preserve-unknown-fields'];
  if (!type && level !== 'root' && !intOrString && !open)
    errors.push(
      required(`${path}.type`, `must not be empty for specified ${level === 'item' ? 'array items' : 'object fields'}`),
    );
  if (type && !types.has(type))
    errors.push({
      type: 'FieldValueNotSupported',
      field: `${path}.type`,
      message: `Unsupported value: ${JSON.stringify(type)}: supported values: "array", "boolean", "integer", "number", "object", "string"`,
    });
  if (intOrString && type)
    errors.push(invalidValue(`${path}.type`, type, 'must be empty if x-kubernetes-int-or-string is true'));
  if (intOrString && open)
    errors.push(
      forbiddenField(
        `${path}.x-kubernetes-preserve-unknown-fields`,
        'must be false if x-kubernetes-int-or-string is true',
      ),
    );
  if (open === false)
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  if (schema['x-kubernetes-embedded-resource'] && type !== 'object')
    errors.push(invalidValue(`${path}.type`, type ?? '', 'must be object if x-kubernetes-embedded-resource is true'));
  if (schema['x-kubernetes-embedded-resource'] && !open && !properties)
    errors.push(
      required(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
  if (properties && additionalProperties)
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    );
  if (additionalProperties === false)
    errors.push(forbiddenField(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (schema.uniqueItems)
    errors.push(
      forbiddenField(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  if (type === 'array' && !items) errors.push(required(`${path}.items`, 'must be specified'));
  errors.push(...listErrors(schema, path), ...junctorErrors(schema, path, intOrString === true));
  for (const [name, part] of Object.entries(properties ?? {}))
    errors.push(...levelErrors(part, `${path}.properties[${name}]`, 'field'));
  if (items) errors.push(...levelErrors(items, `${path}.items`, 'item'));
  if (typeof additionalProperties === 'object')
    errors.push(...levelErrors(additionalProperties, `${path}.additionalProperties`, 'field'));
  return errors;
}

function listErrors(schema: Schema, path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'];
  const field = `${path}.x-kubernetes-list-map-keys`;
  const errors: FieldError[] = [];
  if (listType !== undefined) {
    if (!['atomic', 'set', 'map'].includes(listType))
      errors.push({
        type: 'FieldValueNotSupported',
        field: `${path}.x-kubernetes-list-type`,
        message: `Unsupported value: ${JSON.stringify(listType)}: supported values: "atomic", "map", "set"`,
      });
    if (schema.type !== 'array')
      errors.push(
        invalidValue(`${path}.type`, schema.type ?? '', 'must be array if x-kubernetes-list-type is specified'),
      );
  }
  if (listType === 'map') {
    if (!keys?.length) errors.push(required(field, 'must not be empty if x-kubernetes-list-type is map'));
    for (const [index, key] of (keys ?? []).entries()) {
      const part = schema.items?.properties?.[key];
      if (!part) errors.push(invalidValue(`${field}[${index}]`, key, 'entries must all be names of item properties'));
      else if (!scalars.has(part.type ?? ''))
        errors.push(
          invalidValue(
            `${path}.items.properties[${key}].type`,
            part.type ?? '',
            "must be a scalar type if parent array's x-kubernetes-list-type is map",
          ),
        );
      else if (part.default === undefined && !schema.items?.required?.includes(key))
        errors.push(
          required(
            `${path}.items.properties[${key}].default`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        );
    }
  } else if (keys?.length) errors.push(forbiddenField(field, 'must be empty if x-kubernetes-list-type is not map'));
  return errors;
}

/** What alternatives may not say, since it is no restriction of a value. */
const forbiddenInside = [
  'type',
  'title',
  'description',
  'default',
  'nullable',
  'additionalProperties',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
] as const;

function junctorErrors(schema: Schema, path: string, intOrString: boolean): FieldError[] {
  const { allOf, anyOf, oneOf, not } = schema;
  const parts: [Schema, string][] = [
    ...(allOf ?? []).map((part, i): [Schema, string] => [part, `${path}.allOf[${i}]`]),
    ...(anyOf ?? []).map((part, i): [Schema, string] => [part, `${path}.anyOf[${i}]`]),
    ...(oneOf ?? []).map((part, i): [Schema, string] => [part, `${path}.oneOf[${i}]`]),
    ...(not ? [[not, `${path}.not`] as [Schema, string]] : []),
  ];
  return parts.flatMap(([part, at]) => insideErrors(schema, part, at, intOrString));
}

function insideErrors(outer: Schema | undefined, part: Schema, path: string, intOrString: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of forbiddenInside) {
    if (part[field] === undefined || part[field] === false) continue;
    // `anyOf: [{type: integer}, {type: string}]` is how integers or strings are written.
    if (field === 'type' && intOrString) continue;
    errors.push(
      field === 'additionalProperties' && typeof part.additionalProperties === 'object'
        ? forbiddenField(`${path}.${field}`, 'must be undefined to be structural')
        : forbiddenField(`${path}.${field}`, 'must be empty to be structural'),
    );
  }
  for (const [name, inner] of Object.entries(part.properties ?? {})) {
    const known =
      outer?.properties?.[name] ??
      (typeof outer?.additionalProperties === 'object' ? outer.additionalProperties : undefined);
    const at = `${path}.properties[${name}]`;
    if (!known) errors.push(required(`${structuralPath(path)}.properties[${name}]`, `because it is defined in ${at}`));
    errors.push(...insideErrors(known, inner, at, known?.['x-kubernetes-int-or-string'] === true));
  }
  if (part.items)
    errors.push(
      ...insideErrors(outer?.items, part.items, `${path}.items`, outer?.items?.['x-kubernetes-int-or-string'] === true),
    );
  const { allOf = [], anyOf = [], oneOf = [], not } = part;
  for (const inner of [...allOf, ...anyOf, ...oneOf, ...(not ? [not] : [])])
    errors.push(...insideErrors(outer, inner, path, intOrString));
  return errors;
}

/** The path where the structural part belongs: without the alternatives on the way. */
const structuralPath = (path: string): string => path.replace(/\.(allOf|anyOf|oneOf)\[\d+\]|\.not(?=\.|$)/g, '');
