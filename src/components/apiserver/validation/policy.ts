/** Disruption budgets, priority classes, leases, certificate requests, autoscalers, runtime classes. */
import { isDeepStrictEqual } from 'node:util';
import { dns1123LabelErrors, dns1123SubdomainErrors } from '../../../machinery/api/names.ts';
import type {
  CertificateSigningRequest,
  Lease,
  PodDisruptionBudget,
  PriorityClass,
  RuntimeClass,
  UnknownObject,
} from '../../../machinery/api/types.ts';
import { named, nonNegative, notMoreThan100Percent, optionalOneOf, positive, positiveIntOrPercent } from './checks.ts';
import {
  at,
  duplicate,
  type FieldError,
  fieldImmutable,
  forbiddenField,
  invalidValue,
  required,
  unsupported,
} from './field-errors.ts';
import { labelSelectorErrors } from './selectors.ts';

export function podDisruptionBudgetErrors(object: UnknownObject): FieldError[] {
  const spec = (object as unknown as PodDisruptionBudget).spec ?? {};
  const errors: FieldError[] = [];
  const has = (value: unknown) => value !== undefined && value !== null;
  if (has(spec.minAvailable) && has(spec.maxUnavailable))
    errors.push(invalidValue('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  for (const name of ['minAvailable', 'maxUnavailable'] as const)
    if (has(spec[name]))
      errors.push(
        ...positiveIntOrPercent(spec[name], `spec.${name}`),
        ...notMoreThan100Percent(spec[name], `spec.${name}`),
      );
  errors.push(
    ...labelSelectorErrors(spec.selector, 'spec.selector'),
    ...optionalOneOf(
      spec.unhealthyPodEvictionPolicy,
      ['AlwaysAllow', 'IfHealthyBudget'],
      'spec.unhealthyPodEvictionPolicy',
    ),
  );
  return errors;
}

const highestUserPriority = 1_000_000_000;
const systemPriorities: Record<string, number> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

export function priorityClassErrors(object: UnknownObject): FieldError[] {
  const { metadata, value, preemptionPolicy } = object as unknown as PriorityClass;
  const name = metadata?.name ?? '';
  const errors: FieldError[] = [];
  if (name.startsWith('system-')) {
    if (systemPriorities[name] !== value)
      errors.push(
        forbiddenField('metadata.name', "priority class names with 'system-' prefix are reserved for system use only"),
      );
  } else if ((value ?? 0) > highestUserPriority)
    errors.push(forbiddenField('value', `maximum allowed value of a user defined priority is ${highestUserPriority}`));
  return [...errors, ...optionalOneOf(preemptionPolicy, ['Never', 'PreemptLowerPriority'], 'preemptionPolicy')];
}

export function priorityClassUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  if ((object['value'] ?? 0) !== (old['value'] ?? 0))
    errors.push(forbiddenField('value', 'may not be changed in an update.'));
  if (object['preemptionPolicy'] !== old['preemptionPolicy'])
    errors.push(invalidValue('preemptionPolicy', object['preemptionPolicy'] ?? null, fieldImmutable));
  return errors;
}

export function leaseErrors(object: UnknownObject): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions } = (object as Lease).spec ?? {};
  return [
    ...positive(leaseDurationSeconds, 'spec.leaseDurationSeconds'),
    ...nonNegative(leaseTransitions, 'spec.leaseTransitions'),
  ];
}

const signerName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/.+$/;
const usages = new Set([
  'signing',
  'digital signature',
  'content commitment',
  'key encipherment',
  'key agreement',
  'data encipherment',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
  'any',
  'server auth',
  'client auth',
  'code signing',
  'email protection',
  's/mime',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'timestamping',
  'ocsp signing',
  'microsoft sgc',
  'netscape sgc',
]);
const shortestSeconds = 600;

export function certificateRequestErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as CertificateSigningRequest;
  const errors: FieldError[] = [];
  const pem = Buffer.from(spec?.request ?? '', 'base64').toString('utf8');
  if (!/^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----/m.test(pem))
    errors.push(invalidValue('spec.request', spec?.request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
  const given = spec?.usages ?? [];
  if (!given.length) errors.push(required('spec.usages'));
  for (const [i, usage] of given.entries()) {
    if (!usages.has(usage)) errors.push(unsupported(at('spec.usages', i), usage, [...usages].sort()));
    if (given.indexOf(usage) < i) errors.push(duplicate(at('spec.usages', i), usage));
  }
  if (!spec?.signerName) errors.push(required('spec.signerName'));
  else if (!signerName.test(spec.signerName))
    errors.push(
      invalidValue(
        'spec.signerName',
        spec.signerName,
        'must be a fully qualified domain and path of the form "example.com/signer-name"',
      ),
    );
  if (spec?.signerName === 'kubernetes.io/legacy-unknown')
    errors.push(
      invalidValue('spec.signerName', spec.signerName, 'the legacy signerName is not allowed via this API version'),
    );
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds !== null && seconds < shortestSeconds)
    errors.push(
      invalidValue('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'),
    );
  return [...errors, ...conditionErrors(object)];
}

type CertificateCondition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

/** Decided once, and never both ways. */
function conditionErrors(object: UnknownObject): FieldError[] {
  const conditions = (object as unknown as CertificateSigningRequest).status?.conditions ?? [];
  const errors: FieldError[] = [];
  const field = 'status.conditions';
  const has = (wanted: string) => conditions.some(({ type }) => type === wanted);
  for (const [i, { type, status }] of conditions.entries()) {
    const here = at(field, i);
    if (!type) errors.push(required(`${here}.type`));
    if (!status) errors.push(required(`${here}.status`));
    else if (!['True', 'False', 'Unknown'].includes(status))
      errors.push(unsupported(`${here}.status`, status, ['True', 'False', 'Unknown']));
    else if (['Approved', 'Denied', 'Failed'].includes(type) && status !== 'True')
      errors.push(unsupported(`${here}.status`, status, ['True']));
    if (conditions.findIndex((other: CertificateCondition) => other.type === type) < i)
      errors.push(duplicate(`${here}.type`, type));
  }
  if (has('Approved') && has('Denied'))
    errors.push(
      invalidValue(
        `${at(field, conditions.length - 1)}.type`,
        conditions.at(-1)?.type,
        'Approved and Denied conditions are mutually exclusive',
      ),
    );
  return errors;
}

/** Nothing of a request's spec changes; an approval stays. */
export function certificateRequestUpdateErrors(object: UnknownObject, old: UnknownObject | undefined): FieldError[] {
  const errors = conditionErrors(object);
  const types = (request: UnknownObject | undefined) =>
    ((request as unknown as CertificateSigningRequest | undefined)?.status?.conditions ?? []).map(({ type }) => type);
  for (const type of ['Approved', 'Denied', 'Failed'])
    if (types(old).includes(type) && !types(object).includes(type))
      errors.push(
        forbiddenField('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`),
      );
  return errors;
}

interface Autoscaler {
  spec?: {
    minReplicas?: number;
    maxReplicas?: number;
    scaleTargetRef?: { kind?: string; name?: string };
    targetCPUUtilizationPercentage?: number;
  };
}

export function autoscalerErrors(object: UnknownObject): FieldError[] {
  const { minReplicas, maxReplicas = 0, scaleTargetRef } = (object as Autoscaler).spec ?? {};
  const errors: FieldError[] = [];
  if (minReplicas !== undefined && minReplicas !== null && minReplicas < 1)
    errors.push(invalidValue('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  if (maxReplicas < 1) errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas && maxReplicas < minReplicas)
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  if (!scaleTargetRef?.kind) errors.push(required('spec.scaleTargetRef.kind'));
  if (!scaleTargetRef?.name) errors.push(required('spec.scaleTargetRef.name'));
  return errors;
}

export const runtimeClassErrors = (object: UnknownObject): FieldError[] =>
  named((object as unknown as RuntimeClass).handler, 'handler', dns1123LabelErrors);

export const runtimeClassUpdateErrors = (object: UnknownObject, old: UnknownObject): FieldError[] =>
  isDeepStrictEqual(object['handler'], old['handler'])
    ? []
    : [invalidValue('handler', object['handler'], fieldImmutable)];

export const storageClassErrors = (object: UnknownObject): FieldError[] => [
  ...named(object['provisioner'] as string | undefined, 'provisioner', (name) =>
    name.includes('/') ? [] : dns1123SubdomainErrors(name.toLowerCase()),
  ),
  ...optionalOneOf(object['reclaimPolicy'] as string | undefined, ['Delete', 'Retain'], 'reclaimPolicy'),
  ...optionalOneOf(
    object['volumeBindingMode'] as string | undefined,
    ['Immediate', 'WaitForFirstConsumer'],
    'volumeBindingMode',
  ),
];

export function storageClassUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const errors = storageClassErrors(object);
  if (!isDeepStrictEqual(object['parameters'] ?? {}, old['parameters'] ?? {}))
    errors.push(forbiddenField('parameters', 'updates to parameters are forbidden.'));
  if (object['provisioner'] !== old['provisioner'])
    errors.push(forbiddenField('provisioner', 'updates to provisioner are forbidden.'));
  if (object['reclaimPolicy'] !== old['reclaimPolicy'])
    errors.push(forbiddenField('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
  if (object['volumeBindingMode'] !== old['volumeBindingMode'])
    errors.push(invalidValue('volumeBindingMode', object['volumeBindingMode'], fieldImmutable));
  return errors;
}
