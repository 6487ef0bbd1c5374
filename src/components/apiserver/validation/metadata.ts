/** Metadata of every kind: upstream's ValidateObjectMeta and ValidateObjectMetaUpdate. */
import { isDeepStrictEqual } from 'node:util';
import { dns1123LabelErrors, labelValueErrors, qualifiedNameErrors } from '../../../machinery/api/names.ts';
import type { ObjectMeta, OwnerReference, UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import {
  at,
  child,
  eachInvalid,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  required,
  tooLong,
} from './field-errors.ts';

const totalAnnotationBytes = 256 * 1024;
const path = 'metadata';

/** A generated name's base may end with a dash: the suffix follows it. */
const maskTrailingDash = (name: string) => (name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name);

export function metadataErrors(
  descriptor: ResourceDescriptor,
  object: UnknownObject,
  nameErrors: (name: string) => string[],
): FieldError[] {
  const metadata = object.metadata ?? {};
  const errors: FieldError[] = [];
  const { generateName, name, namespace } = metadata;
  if (generateName)
    errors.push(...eachInvalid(`${path}.generateName`, generateName, nameErrors(maskTrailingDash(generateName))));
  if (!name) errors.push(required(`${path}.name`, 'name or generateName is required'));
  else errors.push(...eachInvalid(`${path}.name`, name, nameErrors(name)));
  if (descriptor.namespaced) {
    if (!namespace) errors.push(required(`${path}.namespace`));
    else errors.push(...eachInvalid(`${path}.namespace`, namespace, dns1123LabelErrors(namespace)));
  } else if (namespace) errors.push(forbiddenField(`${path}.namespace`, 'not allowed on this type'));
  if ((metadata.generation ?? 0) < 0)
    errors.push(invalidValue(`${path}.generation`, metadata.generation, 'must be greater than or equal to 0'));
  errors.push(...labelErrors(metadata.labels, `${path}.labels`));
  errors.push(...annotationErrors(metadata.annotations, `${path}.annotations`));
  errors.push(...ownerErrors(metadata.ownerReferences ?? [], `${path}.ownerReferences`));
  const extensions = descriptor.custom !== undefined || descriptor.group === 'apiextensions.k8s.io';
  errors.push(...finalizerErrors(metadata.finalizers ?? [], `${path}.finalizers`, extensions));
  return errors;
}

export function labelErrors(labels: Record<string, string> | undefined, field: string): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...eachInvalid(field, key, qualifiedNameErrors(key)),
    ...eachInvalid(field, value, labelValueErrors(value)),
  ]);
}

export function annotationErrors(annotations: Record<string, string> | undefined, field: string): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    errors.push(...eachInvalid(field, key, qualifiedNameErrors(key.toLowerCase())));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > totalAnnotationBytes) errors.push(tooLong(field, totalAnnotationBytes));
  return errors;
}

function ownerErrors(owners: OwnerReference[], field: string): FieldError[] {
  const errors: FieldError[] = [];
  const controllers: OwnerReference[] = [];
  for (const [i, owner] of owners.entries()) {
    const here = at(field, i);
    const version = owner.apiVersion?.split('/').at(-1);
    if (!version) errors.push(invalidValue(`${here}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty'));
    if (!owner.kind) errors.push(invalidValue(`${here}.kind`, '', 'must not be empty'));
    if (!owner.name) errors.push(invalidValue(`${here}.name`, '', 'must not be empty'));
    if (!owner.uid) errors.push(invalidValue(`${here}.uid`, '', 'must not be empty'));
    if (owner.apiVersion === 'v1' && owner.kind === 'Event')
      errors.push(invalidValue(here, owner, '/v1, Kind=Event is disallowed from being an owner'));
    if (owner.controller) controllers.push(owner);
  }
  const [first, second] = controllers;
  if (first && second)
    errors.push(
      invalidValue(
        field,
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${first.name} and ${second.name}`,
      ),
    );
  return errors;
}

const shortFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** `unqualified`: names need no domain (custom resources and their definitions). */
export function finalizerErrors(finalizers: string[], field: string, unqualified = false): FieldError[] {
  const errors = finalizers.flatMap((name, i) => [
    ...eachInvalid(at(field, i), name, qualifiedNameErrors(name)),
    ...(unqualified || name.includes('/') || shortFinalizers.has(name) || qualifiedNameErrors(name).length
      ? []
      : [invalidValue(at(field, i), name, 'name is neither a standard finalizer name nor is it fully qualified')]),
  ]);
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(invalidValue(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  return errors;
}

const immutable = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

export function metadataUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const next: ObjectMeta = object.metadata ?? {};
  const before: ObjectMeta = old.metadata ?? {};
  const errors: FieldError[] = [];
  if (before.deletionTimestamp) {
    const added = (next.finalizers ?? []).filter((name) => !(before.finalizers ?? []).includes(name));
    if (added.length)
      errors.push(
        forbiddenField(
          `${path}.finalizers`,
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`,
        ),
      );
  }
  for (const field of immutable)
    if (!isDeepStrictEqual(next[field] ?? undefined, before[field] ?? undefined))
      errors.push(invalidValue(child(path, field), next[field] ?? null, fieldImmutable));
  if ((next.generation ?? 0) < (before.generation ?? 0))
    errors.push(invalidValue(`${path}.generation`, next.generation ?? 0, 'must not be decremented'));
  return errors;
}
