/** The rules that a version's schema lays down for its objects: types and limits first, then its CEL rules. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { CustomKind } from '../types.ts';
import type { FieldError } from '../validation/field-errors.ts';
import { hasRules, ruleErrors } from './cel-rules.ts';
import type { Schema } from './definition.ts';
import { valueErrors } from './value-validation.ts';

/** After these the rules could not be evaluated reliably. */
const blocking = new Set<FieldError['type']>([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

const notChecked: FieldError = {
  type: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

export function createObjectValidation(schema: Schema): CustomKind['validate'] {
  const withRules = hasRules(schema);
  return (object: UnknownObject, old: UnknownObject | undefined) => {
    const errors = valueErrors(schema, object, old, '');
    if (!withRules) return errors;
    if (errors.some(({ type }) => blocking.has(type))) return [...errors, notChecked];
    return [...errors, ...ruleErrors(schema, object, old)];
  };
}
