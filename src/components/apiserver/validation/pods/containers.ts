/** Containers of a pod: what all have in common, and what regular, init and ephemeral ones may have besides. */
import { dns1123LabelErrors, portNameErrors } from '../../../../machinery/api/names.ts';
import type { Container, PodSpec } from '../../../../machinery/api/types.ts';
import { named, oneOf, optionalOneOf, portNumber } from '../checks.ts';
import {
  at,
  duplicate,
  eachInvalid,
  type FieldError,
  forbiddenField,
  invalidValue,
  required,
} from '../field-errors.ts';
import { resourceRequirementErrors } from '../resources.ts';
import { environmentErrors } from './environment.ts';
import { volumeDeviceErrors, volumeMountErrors } from './mounts.ts';
import { lifecycleErrors, livenessErrors, probeErrors } from './probes.ts';
import { containerSecurityErrors } from './security.ts';

/** What a container is checked against: the pod around it. */
export interface PodSurroundings {
  volumes: Set<string>;
  claims: Set<string>;
  spec: PodSpec;
}

type Ports = NonNullable<Container['ports']>;

export function containerListErrors(pod: PodSurroundings, field: string): FieldError[] {
  const containers = pod.spec.containers ?? [];
  if (!containers.length) return [required(field)];
  const names = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, container] of containers.entries()) {
    const here = at(field, i);
    errors.push(...commonErrors(container, pod, here));
    if (names.has(container.name)) errors.push(duplicate(`${here}.name`, container.name));
    names.add(container.name);
    errors.push(
      ...lifecycleErrors(container.lifecycle, `${here}.lifecycle`),
      ...livenessErrors(container.livenessProbe, `${here}.livenessProbe`),
      ...probeErrors(container.readinessProbe, `${here}.readinessProbe`),
      ...livenessErrors(container.startupProbe, `${here}.startupProbe`),
    );
  }
  return [...errors, ...hostPortConflicts(containers, field)];
}

export function initContainerErrors(pod: PodSurroundings, field: string): FieldError[] {
  const names = new Set((pod.spec.containers ?? []).map(({ name }) => name));
  const errors: FieldError[] = [];
  for (const [i, container] of (pod.spec.initContainers ?? []).entries()) {
    const here = at(field, i);
    errors.push(...commonErrors(container, pod, here));
    if (container.name && names.has(container.name)) errors.push(duplicate(`${here}.name`, container.name));
    names.add(container.name);
    errors.push(...optionalOneOf(container.restartPolicy, ['Always', 'Never', 'OnFailure'], `${here}.restartPolicy`));
    if (container.restartPolicy === 'Always') {
      errors.push(
        ...lifecycleErrors(container.lifecycle, `${here}.lifecycle`),
        ...livenessErrors(container.livenessProbe, `${here}.livenessProbe`),
        ...probeErrors(container.readinessProbe, `${here}.readinessProbe`),
        ...livenessErrors(container.startupProbe, `${here}.startupProbe`),
      );
      continue;
    }
    for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
      if (container[name])
        errors.push(
          forbiddenField(`${here}.${name}`, 'may not be set for init containers without restartPolicy=Always'),
        );
  }
  return [...errors, ...hostPortConflicts(pod.spec.initContainers ?? [], field)];
}

const ephemeralForbidden = [
  'ports',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'resources',
  'resizePolicy',
] as const;

export function ephemeralContainerErrors(pod: PodSurroundings, field: string): FieldError[] {
  const others = new Set([...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])].map(({ name }) => name));
  const names = new Set<string>(others);
  const errors: FieldError[] = [];
  for (const [i, ephemeral] of (pod.spec.ephemeralContainers ?? []).entries()) {
    const here = at(field, i);
    const container = ephemeral as Container;
    errors.push(...commonErrors(container, pod, here));
    if (container.name && names.has(container.name)) errors.push(duplicate(`${here}.name`, container.name));
    names.add(container.name);
    if (ephemeral.targetContainerName && !others.has(ephemeral.targetContainerName))
      errors.push({
        type: 'FieldValueNotFound',
        field: `${here}.targetContainerName`,
        message: `Not found: ${JSON.stringify(ephemeral.targetContainerName)}`,
      });
    for (const name of ephemeralForbidden)
      if (container[name] && Object.keys(container[name] as object).length)
        errors.push(forbiddenField(`${here}.${name}`, `field not allowed in an ephemeral container`));
    for (const [j, mount] of (container.volumeMounts ?? []).entries())
      if (mount.subPath)
        errors.push(forbiddenField(`${here}.volumeMounts[${j}].subPath`, 'cannot be set for an Ephemeral Container'));
  }
  return errors;
}

function commonErrors(container: Container, pod: PodSurroundings, here: string): FieldError[] {
  const errors = named(container.name, `${here}.name`, dns1123LabelErrors);
  const { image = '' } = container;
  if (!image) errors.push(required(`${here}.image`));
  else if (image.trim() !== image)
    errors.push(invalidValue(`${here}.image`, image, 'must not have leading or trailing whitespace'));
  errors.push(
    ...oneOf(container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError'], `${here}.terminationMessagePolicy`),
    ...portErrors(container.ports ?? [], pod.spec.hostNetwork ?? false, `${here}.ports`),
    ...environmentErrors(container, here),
    ...volumeMountErrors(container, pod, `${here}.volumeMounts`),
    ...volumeDeviceErrors(container, pod, `${here}.volumeDevices`),
    ...oneOf(container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], `${here}.imagePullPolicy`),
    ...resourceRequirementErrors(container.resources, `${here}.resources`),
    ...claimErrors(container, pod, `${here}.resources.claims`),
    ...containerSecurityErrors(container.securityContext, `${here}.securityContext`),
  );
  return errors;
}

function claimErrors({ resources }: Container, { claims }: PodSurroundings, field: string): FieldError[] {
  return (resources?.claims ?? []).flatMap(({ name }, i) => {
    if (!name) return [required(`${at(field, i)}.name`)];
    if (claims.has(name)) return [];
    return [
      {
        type: 'FieldValueNotFound' as const,
        field: `${at(field, i)}.name`,
        message: `Not found: ${JSON.stringify(name)}`,
      },
    ];
  });
}

const protocols = ['SCTP', 'TCP', 'UDP'];

function portErrors(ports: Ports, hostNetwork: boolean, field: string): FieldError[] {
  const names = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, { name, containerPort, hostPort, protocol }] of ports.entries()) {
    const here = at(field, i);
    if (name) {
      const bad = portNameErrors(name);
      if (bad.length) errors.push(...eachInvalid(`${here}.name`, name, bad));
      else if (names.has(name)) errors.push(duplicate(`${here}.name`, name));
      else names.add(name);
    }
    if (!containerPort) errors.push(required(`${here}.containerPort`));
    else errors.push(...portNumber(containerPort, `${here}.containerPort`));
    if (hostPort) errors.push(...portNumber(hostPort, `${here}.hostPort`));
    errors.push(...oneOf(protocol, protocols, `${here}.protocol`));
    if (hostNetwork && hostPort !== containerPort)
      errors.push(
        invalidValue(`${here}.containerPort`, containerPort, 'must match `hostPort` when `hostNetwork` is true'),
      );
  }
  return errors;
}

function hostPortConflicts(containers: Container[], field: string): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap(({ ports }, i) =>
    (ports ?? []).flatMap(({ hostPort, hostIP, protocol }, j) => {
      if (!hostPort) return [];
      const key = `${protocol}/${hostIP ?? ''}/${hostPort}`;
      if (taken.has(key)) return [duplicate(`${field}[${i}].ports[${j}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}
