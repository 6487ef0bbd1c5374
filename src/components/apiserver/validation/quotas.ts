/** Resource quotas and limit ranges. */
import { isDeepStrictEqual } from 'node:util';
import { compareQuantities, parseQuantity } from '../../../machinery/api/quantity.ts';
import type { LimitRange, ResourceQuota, UnknownObject } from '../../../machinery/api/types.ts';
import {
  at,
  duplicate,
  entry,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  qualifiedNameFieldErrors,
  required,
} from './field-errors.ts';
import { isHugePages, quantityErrors } from './resources.ts';

const standardQuota = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

export function resourceQuotaErrors(object: UnknownObject): FieldError[] {
  const { spec, status } = object as ResourceQuota;
  return [
    ...hardErrors(spec?.hard, 'spec.hard'),
    ...scopeErrors(spec, 'spec'),
    ...hardErrors(status?.hard, 'status.hard'),
    ...hardErrors(status?.used, 'status.used'),
  ];
}

function hardErrors(hard: Record<string, string> | undefined, field: string): FieldError[] {
  return Object.entries(hard ?? {}).flatMap(([name, text]) => {
    const here = entry(field, name);
    const errors = qualifiedNameFieldErrors(name, here);
    if (
      !errors.length &&
      !name.includes('/') &&
      !standardQuota.has(name) &&
      !isHugePages(name.replace(/^requests\./, ''))
    )
      errors.push(invalidValue(here, name, 'must be a standard resource for quota'));
    return [...errors, ...quantityErrors(name, text, here)];
  });
}

function scopeErrors(spec: ResourceQuota['spec'], field: string): FieldError[] {
  const errors: FieldError[] = [];
  const given = spec?.scopes ?? [];
  for (const scope of given)
    if (!scopes.includes(scope)) errors.push(invalidValue(`${field}.scopes`, given, 'unsupported scope'));
  for (const [a, b] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ] as const)
    if (given.includes(a) && given.includes(b))
      errors.push(invalidValue(`${field}.scopes`, given, 'conflicting scopes'));
  for (const [i, { scopeName, operator, values = [] }] of (spec?.scopeSelector?.matchExpressions ?? []).entries()) {
    const here = at(`${field}.scopeSelector.matchExpressions`, i);
    if (!scopes.includes(scopeName)) errors.push(invalidValue(`${here}.scopeName`, scopeName, 'unsupported scope'));
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator))
      errors.push(invalidValue(`${here}.operator`, operator, 'not a valid selector operator'));
    else if (operator.endsWith('In') && !values.length)
      errors.push(
        required(`${here}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"),
      );
    else if (!operator.endsWith('In') && values.length)
      errors.push(
        invalidValue(
          `${here}.values`,
          values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
      );
  }
  return errors;
}

export function resourceQuotaUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [(object as ResourceQuota).spec?.scopes ?? [], (old as ResourceQuota).spec?.scopes ?? []];
  const errors = resourceQuotaErrors(object);
  if (!isDeepStrictEqual([...next].sort(), [...before].sort()))
    errors.push(invalidValue('spec.scopes', next, fieldImmutable));
  return errors;
}

type Item = LimitRange['spec'] extends infer S ? (S extends { limits: (infer I)[] } ? I : never) : never;
const types = ['Container', 'PersistentVolumeClaim', 'Pod'];

export function limitRangeErrors(object: UnknownObject): FieldError[] {
  const seen = new Set<string>();
  return ((object as unknown as LimitRange).spec?.limits ?? []).flatMap((item, i) => {
    const here = at('spec.limits', i);
    const errors: FieldError[] = [];
    if (!item.type) errors.push(required(`${here}.type`));
    else if (!types.includes(item.type) && !item.type.includes('/'))
      errors.push(invalidValue(`${here}.type`, item.type, `must be a standard limit type or fully qualified`));
    if (seen.has(item.type)) errors.push(duplicate(`${here}.type`, item.type));
    seen.add(item.type);
    return [...errors, ...itemErrors(item, here)];
  });
}

function itemErrors(item: Item, here: string): FieldError[] {
  const errors: FieldError[] = [];
  const { max = {}, min = {}, maxLimitRequestRatio: ratio = {} } = item;
  const { default: fallback = {} } = item as { default?: Record<string, string> };
  const request = item.defaultRequest ?? {};
  if (item.type === 'Pod') {
    if (Object.keys(fallback).length)
      errors.push(forbiddenField(`${here}.default`, "may not be specified when `type` is 'Pod'"));
    if (Object.keys(request).length)
      errors.push(forbiddenField(`${here}.defaultRequest`, "may not be specified when `type` is 'Pod'"));
  }
  if (item.type === 'PersistentVolumeClaim' && !('storage' in min) && !('storage' in max))
    errors.push(
      required(`${here}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
    );
  const names = new Set([
    ...Object.keys(max),
    ...Object.keys(min),
    ...Object.keys(fallback),
    ...Object.keys(request),
    ...Object.keys(ratio),
  ]);
  for (const name of names) {
    const above = (a: string | undefined, b: string | undefined): boolean =>
      a !== undefined && b !== undefined && compareQuantities(parseQuantity(a), parseQuantity(b)) > 0;
    const compare = (field: string, a: string | undefined, b: string | undefined, what: string, limit: string) => {
      if (above(a, b))
        errors.push(
          invalidValue(entry(`${here}.${field}`, name), a, `${what} value ${a} is greater than ${limit} value ${b}`),
        );
    };
    compare('min', min[name], max[name], 'min', 'max');
    compare('defaultRequest', request[name], max[name], 'default request', 'max');
    compare('defaultRequest', request[name], fallback[name], 'default request', 'default limit');
    compare('default', fallback[name], max[name], 'default', 'max');
    if (above(min[name], request[name]))
      errors.push(
        invalidValue(
          entry(`${here}.defaultRequest`, name),
          request[name],
          `min value ${min[name]} is greater than default request value ${request[name]}`,
        ),
      );
    if (above(min[name], fallback[name]))
      errors.push(
        invalidValue(
          entry(`${here}.default`, name),
          min[name],
          `min value ${min[name]} is greater than default value ${fallback[name]}`,
        ),
      );
    if (ratio[name] !== undefined && compareQuantities(parseQuantity(ratio[name]), parseQuantity('1')) < 0)
      errors.push(
        invalidValue(entry(`${here}.maxLimitRequestRatio`, name), ratio[name], `ratio ${ratio[name]} is less than 1`),
      );
    for (const [field, list] of Object.entries({
      max,
      min,
      default: fallback,
      defaultRequest: request,
      maxLimitRequestRatio: ratio,
    }))
      if (name in list) errors.push(...qualifiedNameFieldErrors(name, entry(`${here}.${field}`, name)));
  }
  return errors;
}
