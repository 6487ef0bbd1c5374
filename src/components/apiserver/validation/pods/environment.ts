/** `env` and `envFrom` of a container. */
import { dns1123SubdomainErrors } from '../../../../machinery/api/names.ts';
import type { Container, EnvVar } from '../../../../machinery/api/types.ts';
import { configKeyErrors, named } from '../checks.ts';
import { at, eachInvalid, type FieldError, invalidValue, required, unsupported } from '../field-errors.ts';

type Source = NonNullable<EnvVar['valueFrom']>;

const envNameErrors = (name: string): string[] =>
  /^[\x20-\x3c\x3e-\x7e]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];

export function environmentErrors({ env = [], envFrom = [] }: Container, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, variable] of env.entries()) {
    const here = at(`${field}.env`, i);
    errors.push(...named(variable.name, `${here}.name`, envNameErrors));
    if (variable.valueFrom) errors.push(...sourceErrors(variable.valueFrom, variable.value, `${here}.valueFrom`));
  }
  for (const [i, { prefix, configMapRef, secretRef }] of envFrom.entries()) {
    const here = at(`${field}.envFrom`, i);
    if (prefix) errors.push(...eachInvalid(`${here}.prefix`, prefix, envNameErrors(prefix)));
    if (configMapRef) errors.push(...named(configMapRef.name, `${here}.configMapRef.name`, dns1123SubdomainErrors));
    if (secretRef) errors.push(...named(secretRef.name, `${here}.secretRef.name`, dns1123SubdomainErrors));
    if (!configMapRef && !secretRef)
      errors.push(invalidValue(here, '', 'must specify one of: `configMapRef` or `secretRef`'));
    if (configMapRef && secretRef)
      errors.push(invalidValue(here, '', 'may not have more than one field specified at a time'));
  }
  return errors;
}

function sourceErrors(source: Source, value: string | undefined, field: string): FieldError[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const errors: FieldError[] = [];
  if (fieldRef) errors.push(...fieldRefErrors(fieldRef, envFieldPaths, `${field}.fieldRef`));
  if (resourceFieldRef) errors.push(...resourceFieldErrors(resourceFieldRef, `${field}.resourceFieldRef`));
  for (const [name, ref] of [
    ['configMapKeyRef', configMapKeyRef],
    ['secretKeyRef', secretKeyRef],
  ] as const) {
    if (!ref) continue;
    errors.push(...named(ref.name, `${field}.${name}.name`, dns1123SubdomainErrors));
    errors.push(...named(ref.key, `${field}.${name}.key`, configKeyErrors));
  }
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(Boolean).length;
  if (count === 0)
    errors.push(
      invalidValue(
        field,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  else if (value) errors.push(invalidValue(field, '', 'may not be specified when `value` is not empty'));
  if (count > 1) errors.push(invalidValue(field, '', 'may not have more than one field specified at a time'));
  return errors;
}

/** Sorted, as errors list them. */
const envFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** What a field selector of the core/v1 conversion knows; anything else does not even convert. */
const knownLabels = new Set([
  ...envFieldPaths,
  'metadata.annotations',
  'metadata.labels',
  'spec.hostNetwork',
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.nominatedNodeName',
  'status.phase',
]);

export function fieldRefErrors(
  { fieldPath, apiVersion }: { fieldPath: string; apiVersion?: string },
  allowed: string[],
  field: string,
): FieldError[] {
  if (!apiVersion) return [required(`${field}.apiVersion`)];
  if (!fieldPath) return [required(`${field}.fieldPath`)];
  const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/.exec(fieldPath);
  if (subscript) return [];
  if (!knownLabels.has(fieldPath))
    return [
      invalidValue(
        `${field}.fieldPath`,
        fieldPath,
        `error converting fieldPath: field label not supported: ${fieldPath}`,
      ),
    ];
  return allowed.includes(fieldPath) ? [] : [unsupported(`${field}.fieldPath`, fieldPath, allowed)];
}

const containerResourceFields = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

export function resourceFieldErrors({ resource }: { resource: string }, field: string): FieldError[] {
  if (!resource) return [required(`${field}.resource`)];
  if (/^(limits|requests)\.hugepages-/.test(resource) || containerResourceFields.includes(resource)) return [];
  return [unsupported(`${field}.resource`, resource, containerResourceFields)];
}
