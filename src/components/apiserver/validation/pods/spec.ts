/** A pod's specification, in pods and in templates: upstream's ValidatePodSpec. */
import { isIP } from 'node:net';
import { dns1123LabelErrors, dns1123SubdomainErrors } from '../../../../machinery/api/names.ts';
import type { PodSpec, PodTemplateSpec, UnknownObject } from '../../../../machinery/api/types.ts';
import { ipAddress, oneOf, optionalNamed, optionalOneOf } from '../checks.ts';
import {
  at,
  eachInvalid,
  type FieldError,
  forbiddenField,
  invalidValue,
  qualifiedNameFieldErrors,
  required,
} from '../field-errors.ts';
import { annotationErrors, labelErrors } from '../metadata.ts';
import { quantityErrors } from '../resources.ts';
import {
  containerListErrors,
  ephemeralContainerErrors,
  initContainerErrors,
  type PodSurroundings,
} from './containers.ts';
import { affinityErrors, gateErrors, spreadErrors, tolerationErrors } from './scheduling.ts';
import { podSecurityErrors } from './security.ts';
import { volumeErrors } from './volumes.ts';

const maxSeconds = 2_147_483_647;

export function podSpecErrors(spec: PodSpec, field: string): FieldError[] {
  const pod: PodSurroundings = {
    spec,
    volumes: new Set((spec.volumes ?? []).map(({ name }) => name)),
    claims: new Set((spec.resourceClaims ?? []).map(({ name }) => name)),
  };
  const errors = [
    ...volumeErrors(spec.volumes ?? [], `${field}.volumes`),
    ...containerListErrors(pod, `${field}.containers`),
    ...initContainerErrors(pod, `${field}.initContainers`),
    ...ephemeralContainerErrors(pod, `${field}.ephemeralContainers`),
    ...oneOf(spec.restartPolicy, ['Always', 'OnFailure', 'Never'], `${field}.restartPolicy`),
    ...oneOf(spec.dnsPolicy, ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], `${field}.dnsPolicy`),
    ...labelErrors(spec.nodeSelector, `${field}.nodeSelector`),
    ...podSecurityErrors(spec, `${field}.securityContext`),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, i) =>
      name ? [] : [required(`${at(`${field}.imagePullSecrets`, i)}.name`)],
    ),
    ...affinityErrors(spec.affinity, `${field}.affinity`),
    ...dnsConfigErrors(spec, `${field}.dnsConfig`),
    ...(spec.readinessGates ?? []).flatMap(({ conditionType }, i) =>
      qualifiedNameFieldErrors(conditionType, `${at(`${field}.readinessGates`, i)}.conditionType`),
    ),
    ...gateErrors(spec.schedulingGates, `${field}.schedulingGates`),
    ...spreadErrors(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`),
    ...hostUserErrors(spec, field),
    ...optionalNamed(spec.serviceAccountName, `${field}.serviceAccountName`, dns1123SubdomainErrors),
    ...optionalNamed(spec.nodeName, `${field}.nodeName`, dns1123SubdomainErrors),
  ];
  const { activeDeadlineSeconds: deadline } = spec;
  if (deadline !== undefined && deadline !== null && (deadline < 1 || deadline > maxSeconds))
    errors.push(
      invalidValue(`${field}.activeDeadlineSeconds`, deadline, `must be between 1 and ${maxSeconds}, inclusive`),
    );
  errors.push(
    ...optionalNamed(spec.hostname, `${field}.hostname`, dns1123LabelErrors),
    ...optionalNamed(spec.subdomain, `${field}.subdomain`, dns1123LabelErrors),
    ...tolerationErrors(spec.tolerations ?? [], `${field}.tolerations`),
    ...hostAliasErrors(spec, `${field}.hostAliases`),
    ...optionalNamed(spec.priorityClassName, `${field}.priorityClassName`, dns1123SubdomainErrors),
    ...optionalNamed(spec.runtimeClassName, `${field}.runtimeClassName`, dns1123SubdomainErrors),
    ...optionalOneOf(spec.preemptionPolicy, ['Never', 'PreemptLowerPriority'], `${field}.preemptionPolicy`),
    ...Object.entries(spec.overhead ?? {}).flatMap(([name, text]) =>
      quantityErrors(name, text, `${field}.overhead[${name}]`),
    ),
  );
  if (spec.os) errors.push(...oneOf(spec.os.name, ['linux', 'windows'], `${field}.os.name`));
  if (spec.nodeName && spec.schedulingGates?.length)
    errors.push(forbiddenField(`${field}.nodeName`, 'cannot be set until all schedulingGates have been cleared'));
  return errors;
}

function hostUserErrors(spec: PodSpec, field: string): FieldError[] {
  if (spec.hostUsers !== false) return [];
  return (['hostPID', 'hostIPC', 'hostNetwork'] as const).flatMap((name) =>
    spec[name] ? [forbiddenField(`${field}.${name}`, 'when `hostUsers` is false')] : [],
  );
}

const maxNameservers = 3;
const maxSearches = 32;
const maxSearchChars = 2048;

function dnsConfigErrors({ dnsPolicy, dnsConfig }: PodSpec, field: string): FieldError[] {
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  const errors: FieldError[] = [];
  if (dnsPolicy === 'None') {
    if (!dnsConfig) return [required(field, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (!nameservers.length)
      return [required(`${field}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')];
  }
  if (nameservers.length > maxNameservers)
    errors.push(
      invalidValue(`${field}.nameservers`, nameservers, `must not have more than ${maxNameservers} nameservers`),
    );
  for (const [i, server] of nameservers.entries()) errors.push(...ipAddress(server, at(`${field}.nameservers`, i)));
  if (searches.length > maxSearches)
    errors.push(invalidValue(`${field}.searches`, searches, `must not have more than ${maxSearches} search paths`));
  if (searches.join(' ').length > maxSearchChars)
    errors.push(
      invalidValue(
        `${field}.searches`,
        searches,
        `must not have more than ${maxSearchChars} characters (including spaces) in the search list`,
      ),
    );
  for (const [i, search] of searches.entries()) {
    if (search === '.') continue;
    const name = search.replace(/\.$/, '').replaceAll('_', 'a');
    errors.push(...eachInvalid(at(`${field}.searches`, i), search, dns1123SubdomainErrors(name)));
  }
  for (const [i, { name }] of options.entries())
    if (!name) errors.push(required(at(`${field}.options`, i), 'must not be empty'));
  return errors;
}

function hostAliasErrors({ hostAliases }: PodSpec, field: string): FieldError[] {
  return (hostAliases ?? []).flatMap(({ ip, hostnames }, i) => [
    ...(isIP(ip) ? [] : ipAddress(ip, `${at(field, i)}.ip`)),
    ...(hostnames ?? []).flatMap((name, j) =>
      eachInvalid(at(`${at(field, i)}.hostnames`, j), name, dns1123SubdomainErrors(name)),
    ),
  ]);
}

/** A template's labels, annotations and spec. */
export function podTemplateErrors(template: PodTemplateSpec | undefined, field: string): FieldError[] {
  const { metadata, spec } = template ?? {};
  const errors = [
    ...labelErrors(metadata?.labels, `${field}.labels`),
    ...annotationErrors(metadata?.annotations, `${field}.annotations`),
    ...(spec ? podSpecErrors(spec, `${field}.spec`) : [required(`${field}.spec.containers`)]),
  ];
  if (spec?.ephemeralContainers?.length)
    errors.push(
      forbiddenField(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'),
    );
  return errors;
}

export const specOf = (object: UnknownObject): PodSpec => (object['spec'] ?? { containers: [] }) as PodSpec;
