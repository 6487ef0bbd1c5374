/** What extends the API: webhooks, admission policies, aggregated API services. */
import type * as k8s from '@kubernetes/client-node';
import { findCondition } from '../../../../machinery/api/conditions.ts';
import type { LabelSelector, Plain } from '../../../../machinery/api/types.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer } from '../printer.ts';

/** Of mutating and validating webhook configurations. */
export const webhookPrinter = printer<
  Plain<k8s.V1MutatingWebhookConfiguration> | Plain<k8s.V1ValidatingWebhookConfiguration>
>({
  columns: [nameColumn, column('Webhooks', 'integer', 'Number of webhooks.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.webhooks?.length ?? 0, ageOf(object, now)],
});

interface ParamKind {
  apiVersion?: string;
  kind?: string;
}

const paramKindColumn = column('ParamKind', 'string', 'Kind of the resources with parameters.');
const paramKind = (of: ParamKind | undefined): string => (of ? `${of.apiVersion ?? ''}/${of.kind ?? ''}` : '<unset>');

export const validatingPolicyPrinter = printer<Plain<k8s.V1ValidatingAdmissionPolicy>>({
  columns: [nameColumn, column('Validations', 'integer', 'Number of validations.'), paramKindColumn, ageColumn],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.validations?.length ?? 0,
    paramKind(object.spec?.paramKind),
    ageOf(object, now),
  ],
});

export const mutatingPolicyPrinter = printer<Plain<k8s.V1MutatingAdmissionPolicy>>({
  columns: [nameColumn, column('Mutations', 'integer', 'Number of mutations.'), paramKindColumn, ageColumn],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.mutations?.length ?? 0,
    paramKind(object.spec?.paramKind),
    ageOf(object, now),
  ],
});

/** As Go prints the struct. */
function goSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.keys(matchLabels)
    .sort()
    .map((key) => `${key}: ${matchLabels[key]},`);
  const expressions = matchExpressions.map(
    ({ key, operator, values = [] }) =>
      `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}

function paramRef(of: Plain<k8s.V1ParamRef> | undefined): string {
  if (of?.name) return `${of.namespace || '*'}/${of.name}`;
  return of?.selector ? goSelector(of.selector) : '<unset>';
}

/** Of bindings of mutating and validating policies. */
export const policyBindingPrinter = printer<
  Plain<k8s.V1ValidatingAdmissionPolicyBinding> | Plain<k8s.V1MutatingAdmissionPolicyBinding>
>({
  columns: [
    nameColumn,
    column('PolicyName', 'string', 'Policy that is bound.'),
    column('ParamRef', 'string', 'Resource with parameters.'),
    ageColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.policyName ?? '',
    paramRef(object.spec?.paramRef),
    ageOf(object, now),
  ],
});

function availability({ status }: Plain<k8s.V1APIService>): string {
  const available = findCondition(status?.conditions, 'Available');
  if (!available) return 'Unknown';
  return available.status !== 'True' && available.reason
    ? `${available.status} (${available.reason})`
    : available.status;
}

export const apiServicePrinter = printer<Plain<k8s.V1APIService>>({
  columns: [
    nameColumn,
    column('Service', 'string', 'Service that answers, or Local.'),
    column('Available', 'string', 'Whether it answers.'),
    ageColumn,
  ],
  cells(object, now) {
    const service = object.spec?.service;
    return [
      nameOf(object),
      service ? `${service.namespace ?? ''}/${service.name ?? ''}` : 'Local',
      availability(object),
      ageOf(object, now),
    ];
  },
});
