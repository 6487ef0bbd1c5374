/** Fills in the defaults that upstream's `SetDefaults_*` give each kind; one file per group beside this one. */
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import { admissionregistrationDefaults } from './admissionregistration.ts';
import { appsDefaults } from './apps.ts';
import { autoscalingDefaults } from './autoscaling.ts';
import { batchDefaults } from './batch.ts';
import { coreDefaults } from './core.ts';
import { extensionsDefaults } from './extensions.ts';
import type { Fields } from './fields.ts';
import { networkingDefaults } from './networking.ts';
import { rbacDefaults } from './rbac.ts';
import { storageDefaults } from './storage.ts';

const rules: Record<string, (object: Fields) => void> = {
  ...admissionregistrationDefaults,
  ...appsDefaults,
  ...autoscalingDefaults,
  ...batchDefaults,
  ...coreDefaults,
  ...extensionsDefaults,
  ...networkingDefaults,
  ...rbacDefaults,
  ...storageDefaults,
};

/**
 * Sets defaults in place; call it after decoding a create, update, patch result or apply. Custom resources take the
 * defaults of their schema.
 */
export function applyDefaults(
  { group, version, kind, schema }: Pick<ResourceDescriptor, 'group' | 'version' | 'kind' | 'schema'>,
  object: UnknownObject,
): void {
  if (!schema.name.startsWith('io.k8s.')) defaultBySchema(schema, object);
  else applyKindDefaults(group, version, kind, object);
}

/** The same for a body that is no resource of its own (TokenRequest). */
export function applyKindDefaults(group: string, version: string, kind: string, object: UnknownObject): void {
  rules[`${group}/${version}/${kind}`]?.(object);
}

/** Custom resources: a `default` applies where the parent object exists; null counts as unset unless nullable. */
function defaultBySchema(schema: TypeSchema, object: Fields): void {
  if (schema.name.startsWith('io.k8s.')) return;
  for (const [name, field] of Object.entries(schema.fields)) {
    if (field.default !== undefined && (object[name] === undefined || (object[name] === null && !field.nullable))) {
      object[name] = structuredClone(field.default);
    }
    defaultValue(field, object[name]);
  }
}

function defaultValue(field: FieldSchema, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (field.schema && !Array.isArray(value)) defaultBySchema(field.schema, value as Fields);
  else if (field.items && Array.isArray(value)) for (const item of value) defaultValue(field.items, item);
  else if (field.items) for (const item of Object.values(value)) defaultValue(field.items, item);
}
