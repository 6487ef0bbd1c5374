/** Security contexts of pods and containers. */
import type { Container, PodSpec } from '../../../../machinery/api/types.ts';
import { descendingPath, oneOf, optionalOneOf } from '../checks.ts';
import {
  at,
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  required,
  unsupported,
} from '../field-errors.ts';

type ContainerContext = NonNullable<Container['securityContext']>;
type PodContext = NonNullable<PodSpec['securityContext']>;

const maxId = 2_147_483_647;

const idErrors = (id: number | undefined | null, field: string): FieldError[] =>
  id !== undefined && id !== null && (id < 0 || id > maxId)
    ? [invalidValue(field, id, `must be between 0 and ${maxId}, inclusive`)]
    : [];

export function containerSecurityErrors(context: ContainerContext | undefined, field: string): FieldError[] {
  if (!context) return [];
  const errors = [
    ...idErrors(context.runAsUser, `${field}.runAsUser`),
    ...idErrors(context.runAsGroup, `${field}.runAsGroup`),
    ...optionalOneOf(context.procMount, ['Default', 'Unmasked'], `${field}.procMount`),
    ...seccompErrors(context.seccompProfile, `${field}.seccompProfile`),
    ...appArmorErrors(context.appArmorProfile, `${field}.appArmorProfile`),
  ];
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged)
      errors.push(
        invalidValue(field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'),
      );
    if (context.capabilities?.add?.some((name) => name === 'CAP_SYS_ADMIN'))
      errors.push(
        invalidValue(
          field,
          context,
          'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
        ),
      );
  }
  return errors;
}

export function podSecurityErrors(spec: PodSpec, field: string): FieldError[] {
  const context: PodContext | undefined = spec.securityContext;
  if (!context) return [];
  const errors = [
    ...idErrors(context.fsGroup, `${field}.fsGroup`),
    ...idErrors(context.runAsUser, `${field}.runAsUser`),
    ...idErrors(context.runAsGroup, `${field}.runAsGroup`),
    ...(context.supplementalGroups ?? []).flatMap((id, i) => idErrors(id, at(`${field}.supplementalGroups`, i))),
    ...seccompErrors(context.seccompProfile, `${field}.seccompProfile`),
    ...appArmorErrors(context.appArmorProfile, `${field}.appArmorProfile`),
    ...optionalOneOf(context.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], `${field}.fsGroupChangePolicy`),
    ...optionalOneOf(context.supplementalGroupsPolicy, ['Merge', 'Strict'], `${field}.supplementalGroupsPolicy`),
  ];
  const names = new Set<string>();
  for (const [i, { name }] of (context.sysctls ?? []).entries()) {
    const here = `${at(`${field}.sysctls`, i)}.name`;
    if (!name) errors.push(required(here));
    else if (
      !/^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9]([-_a-z0-9]*[a-z0-9])?)$/i.test(name) ||
      name.length > 253
    )
      errors.push(
        invalidValue(
          here,
          name,
          'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
        ),
      );
    else if (names.has(name)) errors.push(duplicate(here, name));
    names.add(name);
  }
  if (spec.shareProcessNamespace && spec.hostPID)
    errors.push(
      invalidValue(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  return errors;
}

type Profile = { type?: string; localhostProfile?: string };

function seccompErrors(profile: Profile | undefined, field: string): FieldError[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  if (!type) return [required(`${field}.type`, 'type is required when seccompProfile is set')];
  if (!['Localhost', 'RuntimeDefault', 'Unconfined'].includes(type))
    return [unsupported(`${field}.type`, type, ['Localhost', 'RuntimeDefault', 'Unconfined'])];
  if (type !== 'Localhost')
    return localhostProfile === undefined
      ? []
      : [invalidValue(`${field}.localhostProfile`, localhostProfile, 'can only be set when seccomp type is Localhost')];
  return localhostProfile
    ? descendingPath(localhostProfile, `${field}.localhostProfile`)
    : [required(`${field}.localhostProfile`, 'must be set when seccomp type is Localhost')];
}

function appArmorErrors(profile: Profile | undefined, field: string): FieldError[] {
  if (!profile) return [];
  const errors = oneOf(profile.type, ['Localhost', 'RuntimeDefault', 'Unconfined'], `${field}.type`);
  if (profile.type === 'Localhost') {
    if (!profile.localhostProfile?.trim())
      errors.push(required(`${field}.localhostProfile`, 'must be set when AppArmor type is Localhost'));
  } else if (profile.localhostProfile !== undefined)
    errors.push(forbiddenField(`${field}.localhostProfile`, 'can only be set when AppArmor type is Localhost'));
  return errors;
}
