/** Label selectors, node selectors and what else carries label keys and values. */
import { labelValueErrors } from '../../../machinery/api/names.ts';
import type { LabelSelector, NodeSelector, NodeSelectorTerm } from '../../../machinery/api/types.ts';
import {
  at,
  eachInvalid,
  type FieldError,
  forbiddenField,
  invalidValue,
  qualifiedNameFieldErrors,
  required,
} from './field-errors.ts';
import { labelErrors } from './metadata.ts';

export function labelSelectorErrors(selector: LabelSelector | undefined, field: string): FieldError[] {
  if (!selector) return [];
  const errors = labelErrors(selector.matchLabels, `${field}.matchLabels`);
  for (const [i, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const here = at(`${field}.matchExpressions`, i);
    if (operator === 'In' || operator === 'NotIn') {
      if (!values.length)
        errors.push(required(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length)
        errors.push(
          forbiddenField(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
    } else errors.push(invalidValue(`${here}.operator`, operator, 'not a valid selector operator'));
    errors.push(...qualifiedNameFieldErrors(key, `${here}.key`));
    for (const [j, value] of values.entries())
      errors.push(...eachInvalid(at(`${here}.values`, j), value, labelValueErrors(value)));
  }
  return errors;
}

export const isEmptySelector = (selector: LabelSelector | undefined): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;

type NodeRequirement = NonNullable<NodeSelectorTerm['matchExpressions']>[number];

export function nodeSelectorErrors(selector: NodeSelector, field: string): FieldError[] {
  const terms = selector.nodeSelectorTerms ?? [];
  if (!terms.length) return [required(`${field}.nodeSelectorTerms`, 'must have at least one node selector term')];
  return terms.flatMap((term, i) => nodeSelectorTermErrors(term, at(`${field}.nodeSelectorTerms`, i)));
}

export function nodeSelectorTermErrors(term: NodeSelectorTerm, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, requirement] of (term.matchExpressions ?? []).entries())
    errors.push(...nodeRequirementErrors(requirement, at(`${field}.matchExpressions`, i)));
  for (const [i, { key, operator, values = [] }] of (term.matchFields ?? []).entries()) {
    const here = at(`${field}.matchFields`, i);
    if (operator !== 'In' && operator !== 'NotIn')
      errors.push(invalidValue(`${here}.operator`, operator, 'not a valid selector operator'));
    else if (values.length !== 1)
      errors.push(
        required(`${here}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
      );
    if (key !== 'metadata.name') errors.push(invalidValue(`${here}.key`, key, 'not a valid field selector key'));
  }
  return errors;
}

function nodeRequirementErrors({ key, operator, values = [] }: NodeRequirement, here: string): FieldError[] {
  const errors: FieldError[] = [];
  if (operator === 'In' || operator === 'NotIn') {
    if (!values.length) errors.push(required(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length)
      errors.push(
        forbiddenField(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      );
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1)
      errors.push(required(`${here}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else errors.push(invalidValue(`${here}.operator`, operator, 'not a valid selector operator'));
  errors.push(...qualifiedNameFieldErrors(key, `${here}.key`));
  for (const [j, value] of values.entries())
    errors.push(...eachInvalid(at(`${here}.values`, j), value, labelValueErrors(value)));
  return errors;
}
