/** What an object must be like to be stored: metadata of every kind, then the rules of its own kind. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import type { FieldError } from './field-errors.ts';
import { rulesOf } from './kinds.ts';
import { metadataErrors, metadataUpdateErrors } from './metadata.ts';

export type { FieldError } from './field-errors.ts';

/** `old` is absent on create. Errors come in upstream's order, metadata first. */
export function validate(
  descriptor: ResourceDescriptor,
  object: UnknownObject,
  old: UnknownObject | undefined,
  subresource: string,
): FieldError[] {
  const rules = rulesOf(descriptor);
  const errors = metadataErrors(descriptor, object, rules.name);
  if (old) errors.push(...metadataUpdateErrors(object, old));
  if (descriptor.custom) errors.push(...descriptor.custom.validate(object, old, subresource));
  else if (subresource) errors.push(...(rules.subresources?.[subresource]?.(object, old) ?? []));
  else if (old && rules.update) errors.push(...rules.update(object, old));
  else errors.push(...(rules.create?.(object) ?? []));
  return unique(errors);
}

/** The same field with the same complaint is reported once. */
function unique(errors: FieldError[]): FieldError[] {
  const seen = new Set<string>();
  return errors.filter(({ type, field, message }) => {
    const key = `${type}\0${field}\0${message}`;
    return seen.has(key) ? false : seen.add(key);
  });
}
