/** Roles, bindings and their cluster-wide relatives. */
import { isDeepStrictEqual } from 'node:util';
import { dns1123SubdomainErrors, pathSegmentErrors } from '../../../machinery/api/names.ts';
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, UnknownObject } from '../../../machinery/api/types.ts';
import { named } from './checks.ts';
import { at, type FieldError, invalidValue, required, unsupported } from './field-errors.ts';
import { labelSelectorErrors } from './selectors.ts';

const group = 'rbac.authorization.k8s.io';

export const roleErrors = (object: UnknownObject): FieldError[] =>
  ((object as unknown as Role).rules ?? []).flatMap((rule, i) => ruleErrors(rule, true, at('rules', i)));

export function clusterRoleErrors(object: UnknownObject): FieldError[] {
  const { rules, aggregationRule } = object as unknown as ClusterRole;
  const errors = (rules ?? []).flatMap((rule, i) => ruleErrors(rule, false, at('rules', i)));
  if (!aggregationRule) return errors;
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  const field = 'aggregationRule.clusterRoleSelectors';
  if (!selectors.length)
    errors.push(required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
  return [...errors, ...selectors.flatMap((selector, i) => labelSelectorErrors(selector, at(field, i)))];
}

function ruleErrors(rule: PolicyRule, namespaced: boolean, here: string): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (!verbs.length) errors.push(required(`${here}.verbs`, 'verbs must contain at least one value'));
  if (nonResourceURLs.length) {
    const field = `${here}.nonResourceURLs`;
    if (namespaced)
      errors.push(invalidValue(field, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
    if (apiGroups.length || resources.length || resourceNames.length)
      errors.push(
        invalidValue(field, nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'),
      );
    return errors;
  }
  if (!apiGroups.length)
    errors.push(required(`${here}.apiGroups`, 'resource rules must supply at least one api group'));
  if (!resources.length) errors.push(required(`${here}.resources`, 'resource rules must supply at least one resource'));
  return errors;
}

export const roleBindingErrors = (object: UnknownObject): FieldError[] =>
  bindingErrors(object, ['ClusterRole', 'Role'], true);
export const clusterRoleBindingErrors = (object: UnknownObject): FieldError[] =>
  bindingErrors(object, ['ClusterRole'], false);

function bindingErrors(object: UnknownObject, roleKinds: string[], namespaced: boolean): FieldError[] {
  const { roleRef, subjects } = object as unknown as ClusterRoleBinding;
  const errors: FieldError[] = [];
  if (roleRef?.apiGroup !== group) errors.push(unsupported('roleRef.apiGroup', roleRef?.apiGroup ?? '', [group]));
  if (!roleKinds.includes(roleRef?.kind ?? ''))
    errors.push(unsupported('roleRef.kind', roleRef?.kind ?? '', roleKinds));
  errors.push(...named(roleRef?.name, 'roleRef.name', pathSegmentErrors));
  return [
    ...errors,
    ...(subjects ?? []).flatMap((subject, i) => subjectErrors(subject, namespaced, at('subjects', i))),
  ];
}

type Subject = NonNullable<ClusterRoleBinding['subjects']>[number];

function subjectErrors({ kind, name, namespace, apiGroup }: Subject, namespaced: boolean, here: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!name) errors.push(required(`${here}.name`));
  if (kind === 'ServiceAccount') {
    if (name) errors.push(...named(name, `${here}.name`, dns1123SubdomainErrors));
    if (apiGroup) errors.push(unsupported(`${here}.apiGroup`, apiGroup, ['']));
    if (!namespaced && !namespace) errors.push(required(`${here}.namespace`));
  } else if (kind === 'User' || kind === 'Group') {
    if (apiGroup !== group) errors.push(unsupported(`${here}.apiGroup`, apiGroup ?? '', [group]));
  } else errors.push(unsupported(`${here}.kind`, kind, ['ServiceAccount', 'User', 'Group']));
  return errors;
}

const fixedRole = (object: UnknownObject, old: UnknownObject): FieldError[] =>
  isDeepStrictEqual(object['roleRef'], old['roleRef'])
    ? []
    : [invalidValue('roleRef', object['roleRef'], 'cannot change roleRef')];

export const roleBindingUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] => [
  ...roleBindingErrors(object),
  ...fixedRole(object, old),
];
export const clusterRoleBindingUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] => [
  ...clusterRoleBindingErrors(object),
  ...fixedRole(object, old),
];
