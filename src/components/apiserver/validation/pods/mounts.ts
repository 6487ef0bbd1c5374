/** `volumeMounts` and `volumeDevices` of a container. */
import type { Container } from '../../../../machinery/api/types.ts';
import { descendingPath, noBackSteps, optionalOneOf } from '../checks.ts';
import { at, type FieldError, forbiddenField, invalidValue, notFoundValue, required } from '../field-errors.ts';
import type { PodSurroundings } from './containers.ts';

export function volumeMountErrors(container: Container, pod: PodSurroundings, field: string): FieldError[] {
  const paths = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const here = at(field, i);
    if (!mount.name) errors.push(required(`${here}.name`));
    if (!pod.volumes.has(mount.name)) errors.push(notFoundValue(`${here}.name`, mount.name ?? ''));
    if (!mount.mountPath) errors.push(required(`${here}.mountPath`));
    if (paths.has(mount.mountPath)) errors.push(invalidValue(`${here}.mountPath`, mount.mountPath, 'must be unique'));
    paths.add(mount.mountPath);
    if (mount.subPath) errors.push(...descendingPath(mount.subPath, `${here}.subPath`));
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.push(
          invalidValue(`${here}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
        );
      errors.push(...descendingPath(mount.subPathExpr, `${here}.subPathExpr`));
    }
    errors.push(...propagationErrors(container, mount.mountPropagation, `${here}.mountPropagation`));
    if (mount.recursiveReadOnly && mount.recursiveReadOnly !== 'Disabled') {
      errors.push(
        ...optionalOneOf(mount.recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible'], `${here}.recursiveReadOnly`),
      );
      if (!mount.readOnly)
        errors.push(forbiddenField(`${here}.recursiveReadOnly`, 'may only be specified when readOnly is true'));
    }
  }
  return errors;
}

function propagationErrors(container: Container, mode: string | undefined, field: string): FieldError[] {
  if (!mode) return [];
  const errors = optionalOneOf(mode, ['Bidirectional', 'HostToContainer', 'None'], field);
  if (mode === 'Bidirectional' && !container.securityContext?.privileged)
    errors.push(forbiddenField(field, 'Bidirectional mount propagation is available only to privileged containers'));
  return errors;
}

export function volumeDeviceErrors(container: Container, pod: PodSurroundings, field: string): FieldError[] {
  const paths = new Set<string>();
  const names = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, { name, devicePath }] of (container.volumeDevices ?? []).entries()) {
    const here = at(field, i);
    if (!name) errors.push(required(`${here}.name`));
    if (names.has(name)) errors.push(invalidValue(`${here}.name`, name, 'must be unique'));
    if (!pod.volumes.has(name)) errors.push(notFoundValue(`${here}.name`, name ?? ''));
    if (!devicePath) errors.push(required(`${here}.devicePath`));
    else errors.push(...noBackSteps(devicePath, `${here}.devicePath`));
    if (paths.has(devicePath)) errors.push(invalidValue(`${here}.devicePath`, devicePath, 'must be unique'));
    names.add(name);
    paths.add(devicePath);
  }
  return errors;
}
