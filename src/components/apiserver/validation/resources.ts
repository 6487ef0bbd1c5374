/** Resource names and quantities of containers, quotas and nodes. */

import { qualifiedNameErrors } from '../../../machinery/api/names.ts';
import { compareQuantities, parseQuantity } from '../../../machinery/api/quantity.ts';
import type { ResourceRequirements } from '../../../machinery/api/types.ts';
import { eachInvalid, entry, type FieldError, invalidValue, notNegative, required } from './field-errors.ts';

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
export const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
export const isExtended = (name: string): boolean => !isNative(name) && !name.startsWith('requests.');
const mayOvercommit = (name: string): boolean => isNative(name) && !isHugePages(name);

export function quantityErrors(name: string, text: string, field: string): FieldError[] {
  const quantity = parseQuantity(text);
  const errors: FieldError[] = [];
  if (compareQuantities(quantity, zero()) < 0) errors.push(invalidValue(field, text, notNegative));
  if (name && isExtended(name) && !isWhole(text)) errors.push(invalidValue(field, text, 'must be an integer'));
  return errors;
}

const zero = () => parseQuantity('0');
const isWhole = (text: string): boolean => parseQuantity(text).nano % 1_000_000_000n === 0n;

function containerResourceErrors(name: string, field: string): FieldError[] {
  const bad = qualifiedNameErrors(name);
  if (bad.length) return eachInvalid(field, name, bad);
  if (name.includes('/') || containerResources.has(name) || isHugePages(name)) return [];
  return [invalidValue(field, name, 'must be a standard resource for containers')];
}

export function resourceRequirementErrors(resources: ResourceRequirements | undefined, field: string): FieldError[] {
  const { limits = {}, requests = {} } = resources ?? {};
  const errors: FieldError[] = [];
  for (const [name, text] of Object.entries(limits)) {
    const here = entry(`${field}.limits`, name);
    errors.push(...containerResourceErrors(name, here), ...quantityErrors(name, text, here));
  }
  for (const [name, text] of Object.entries(requests)) {
    const here = entry(`${field}.requests`, name);
    errors.push(...containerResourceErrors(name, here), ...quantityErrors(name, text, here));
    const limit = limits[name];
    if (limit === undefined) {
      if (!mayOvercommit(name))
        errors.push(required(`${field}.limits`, 'Limit must be set for non overcommitable resources'));
      continue;
    }
    const order = compareQuantities(parseQuantity(text), parseQuantity(limit));
    if (order !== 0 && !mayOvercommit(name))
      errors.push(invalidValue(`${field}.requests`, text, `must be equal to ${name} limit of ${limit}`));
    else if (order > 0)
      errors.push(invalidValue(`${field}.requests`, text, `must be less than or equal to ${name} limit of ${limit}`));
  }
  const all = [...Object.keys(limits), ...Object.keys(requests)];
  if (all.some(isHugePages) && !all.includes('cpu') && !all.includes('memory')) errors.push(forbiddenHugePages(field));
  return errors;
}

const forbiddenHugePages = (field: string): FieldError => ({
  type: 'FieldValueForbidden',
  field,
  message: 'Forbidden: HugePages require cpu or memory',
});

/** Names in quotas and limit ranges: anything qualified that the server knows, or an extended resource. */
