/** Where a pod may run: affinity, tolerations, spread, gates. */
import { dns1123LabelErrors, labelValueErrors, qualifiedNameErrors } from '../../../../machinery/api/names.ts';
import type { Affinity, PodSpec, Toleration } from '../../../../machinery/api/types.ts';
import { optionalOneOf, positive } from '../checks.ts';
import {
  at,
  duplicate,
  eachInvalid,
  type FieldError,
  invalidValue,
  qualifiedNameFieldErrors,
  required,
  unsupported,
} from '../field-errors.ts';
import { labelSelectorErrors, nodeSelectorErrors, nodeSelectorTermErrors } from '../selectors.ts';

export const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function tolerationErrors(tolerations: Toleration[], field: string): FieldError[] {
  return tolerations.flatMap((toleration, i) => {
    const here = at(field, i);
    const { key, operator, value, effect, tolerationSeconds } = toleration;
    const errors: FieldError[] = [];
    if (key) errors.push(...eachInvalid(`${here}.key`, key, qualifiedNameErrors(key)));
    if (!key && operator !== 'Exists')
      errors.push(
        invalidValue(
          `${here}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    if (tolerationSeconds !== undefined && tolerationSeconds !== null && effect !== 'NoExecute')
      errors.push(
        invalidValue(`${here}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    if (operator === 'Equal' || !operator) {
      const bad = labelValueErrors(value ?? '');
      if (bad.length) errors.push(invalidValue(`${here}.operator`, value, bad.join(';')));
    } else if (operator === 'Exists') {
      if (value)
        errors.push(invalidValue(`${here}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    } else errors.push(unsupported(`${here}.operator`, operator, ['Equal', 'Exists']));
    if (effect) errors.push(...optionalOneOf(effect, taintEffects, `${here}.effect`));
    return errors;
  });
}

type PodTerm = NonNullable<
  NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];
type PodAffinity = NonNullable<Affinity['podAffinity']>;

const always = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferably = 'preferredDuringSchedulingIgnoredDuringExecution';

export function affinityErrors(affinity: Affinity | undefined, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  if (nodeAffinity) {
    const here = `${field}.nodeAffinity`;
    const wanted = nodeAffinity[always];
    if (wanted) errors.push(...nodeSelectorErrors(wanted, `${here}.${always}`));
    for (const [i, { weight, preference }] of (nodeAffinity[preferably] ?? []).entries()) {
      const term = at(`${here}.${preferably}`, i);
      errors.push(...weightErrors(weight, term), ...nodeSelectorTermErrors(preference, `${term}.preference`));
    }
  }
  if (podAffinity) errors.push(...podAffinityErrors(podAffinity, `${field}.podAffinity`));
  if (podAntiAffinity) errors.push(...podAffinityErrors(podAntiAffinity, `${field}.podAntiAffinity`));
  return errors;
}

const weightErrors = (weight: number, term: string): FieldError[] =>
  weight > 0 && weight <= 100 ? [] : [invalidValue(`${term}.weight`, weight, 'must be in the range 1-100')];

function podAffinityErrors(affinity: PodAffinity, field: string): FieldError[] {
  const errors = (affinity[always] ?? []).flatMap((term, i) => podTermErrors(term, at(`${field}.${always}`, i)));
  for (const [i, { weight, podAffinityTerm }] of (affinity[preferably] ?? []).entries()) {
    const here = at(`${field}.${preferably}`, i);
    errors.push(...weightErrors(weight, here), ...podTermErrors(podAffinityTerm, `${here}.podAffinityTerm`));
  }
  return errors;
}

function podTermErrors(
  { labelSelector, namespaceSelector, namespaces, topologyKey }: PodTerm,
  field: string,
): FieldError[] {
  return [
    ...labelSelectorErrors(labelSelector, `${field}.labelSelector`),
    ...labelSelectorErrors(namespaceSelector, `${field}.namespaceSelector`),
    ...(namespaces ?? []).flatMap((name) => eachInvalid(`${field}.namespace`, name, dns1123LabelErrors(name))),
    ...(topologyKey
      ? qualifiedNameFieldErrors(topologyKey, `${field}.topologyKey`)
      : [required(`${field}.topologyKey`, 'can not be empty')]),
  ];
}

export function spreadErrors(constraints: PodSpec['topologySpreadConstraints'], field: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, constraint] of (constraints ?? []).entries()) {
    const here = at(field, i);
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, labelSelector } = constraint;
    errors.push(...positive(maxSkew, `${here}.maxSkew`, 'must be greater than zero'));
    errors.push(
      ...(topologyKey
        ? qualifiedNameFieldErrors(topologyKey, `${here}.topologyKey`)
        : [required(`${here}.topologyKey`, 'can not be empty')]),
    );
    if (!['DoNotSchedule', 'ScheduleAnyway'].includes(whenUnsatisfiable))
      errors.push(
        unsupported(`${here}.whenUnsatisfiable`, whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway']),
      );
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (seen.has(pair)) errors.push(duplicate(`${here}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    errors.push(...positive(minDomains, `${here}.minDomains`, 'must be greater than zero'));
    if (minDomains && whenUnsatisfiable !== 'DoNotSchedule')
      errors.push(
        invalidValue(
          `${here}.minDomains`,
          minDomains,
          `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`,
        ),
      );
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const)
      errors.push(...optionalOneOf(constraint[name], ['Honor', 'Ignore'], `${here}.${name}`));
    errors.push(...labelSelectorErrors(labelSelector, `${here}.labelSelector`));
  }
  return errors;
}

export function gateErrors(gates: PodSpec['schedulingGates'], field: string): FieldError[] {
  const seen = new Set<string>();
  return (gates ?? []).flatMap(({ name }, i) => {
    const here = at(field, i);
    const errors = qualifiedNameFieldErrors(name, here);
    if (seen.has(name)) errors.push(duplicate(here, name));
    seen.add(name);
    return errors;
  });
}
