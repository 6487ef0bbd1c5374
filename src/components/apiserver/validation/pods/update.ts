/** What may change in a pod: upstream's ValidatePodUpdate, …StatusUpdate, …EphemeralContainersUpdate and …Resize. */
import { isDeepStrictEqual } from 'node:util';
import type { Pod, PodSpec, Toleration, UnknownObject } from '../../../../machinery/api/types.ts';
import { at, type FieldError, forbiddenField, invalidValue, required } from '../field-errors.ts';
import { tolerationErrors } from './scheduling.ts';
import { podSpecErrors, specOf } from './spec.ts';

const updatable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
];

export function podCreateErrors(object: UnknownObject): FieldError[] {
  const spec = specOf(object);
  const errors = podSpecErrors(spec, 'spec');
  if (spec.ephemeralContainers?.length)
    errors.push(forbiddenField('spec.ephemeralContainers', 'cannot be set on create'));
  return errors;
}

export function podUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const next = specOf(object);
  const before = specOf(old);
  const errors: FieldError[] = [];
  for (const name of ['containers', 'initContainers'] as const) {
    const [now = [], then = []] = [next[name], before[name]];
    if (now.length !== then.length)
      return [...errors, forbiddenField(`spec.${name}`, 'pod updates may not add or remove containers')];
    for (const [i, container] of now.entries()) {
      const image = `${at(`spec.${name}`, i)}.image`;
      if (!container.image) errors.push(required(image));
      else if (container.image.trim() !== container.image)
        errors.push(invalidValue(image, container.image, 'must not have leading or trailing whitespace'));
    }
  }
  errors.push(...deadlineErrors(next, before), ...addedTolerations(next.tolerations ?? [], before.tolerations ?? []));
  errors.push(...gateErrors(next, before));
  const munged = munge(next, before);
  if (!isDeepStrictEqual(withoutEmpty(munged), withoutEmpty(before)))
    errors.push(
      forbiddenField(
        'spec',
        `pod updates may not change fields other than ${updatable.join(',')}\n${difference(munged, before)}`,
      ),
    );
  return errors;
}

function deadlineErrors(next: PodSpec, before: PodSpec): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  const [now, then] = [next.activeDeadlineSeconds ?? undefined, before.activeDeadlineSeconds ?? undefined];
  if (now === undefined)
    return then === undefined
      ? []
      : [invalidValue(field, null, 'must not update from a positive integer to nil value')];
  if (now < 0 || now > 2_147_483_647) return [invalidValue(field, now, 'must be between 0 and 2147483647, inclusive')];
  return then !== undefined && then < now
    ? [invalidValue(field, now, 'must be less than or equal to previous value')]
    : [];
}

/** Existing tolerations stay, apart from how long they hold. */
function addedTolerations(next: Toleration[], before: Toleration[]): FieldError[] {
  const same = (a: Toleration, b: Toleration) =>
    isDeepStrictEqual({ ...a, tolerationSeconds: 0 }, { ...b, tolerationSeconds: 0 });
  if (before.some((old) => !next.some((now) => same(now, old))))
    return [forbiddenField('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
  return tolerationErrors(next, 'spec.tolerations');
}

function gateErrors(next: PodSpec, before: PodSpec): FieldError[] {
  const known = new Set((before.schedulingGates ?? []).map(({ name }) => name));
  const added = (next.schedulingGates ?? []).find(({ name }) => !known.has(name));
  return added
    ? [
        forbiddenField(
          'spec.schedulingGates',
          `only deletion is allowed, but found new scheduling gate '${added.name}'`,
        ),
      ]
    : [];
}

/** The new spec with everything that may change taken from the old one: what still differs is not allowed. */
function munge(next: PodSpec, before: PodSpec): PodSpec {
  const munged = structuredClone(next);
  for (const name of ['containers', 'initContainers'] as const)
    for (const [i, container] of (munged[name] ?? []).entries()) {
      const image = before[name]?.[i]?.image;
      if (image) container.image = image;
      else delete container.image;
    }
  for (const name of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'] as const) take(munged, before, name);
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && next.terminationGracePeriodSeconds === 1)
    take(munged, before, 'terminationGracePeriodSeconds');
  // Pods that wait at a gate may still narrow down where they run.
  if (before.schedulingGates?.length) {
    take(munged, before, 'nodeSelector');
    take(munged, before, 'affinity');
  }
  return munged;
}

function take<K extends keyof PodSpec>(target: PodSpec, from: PodSpec, name: K): void {
  const value = from[name];
  if (value === undefined) delete target[name];
  else target[name] = value;
}

/** Absent and empty mean the same. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, withoutEmpty(inner)] as const)
      .filter(([, inner]) => inner !== undefined && inner !== null && !isEmpty(inner)),
  );
}

const isEmpty = (value: unknown): boolean =>
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0);

/** The lines that differ, `-` of the new and `+` of the old spec, as upstream prints them. */
function difference(next: PodSpec, before: PodSpec): string {
  const lines = (spec: PodSpec) =>
    JSON.stringify(withoutEmpty(spec), null, 1)
      .split('\n')
      .map((line) => line.replace(/,$/, ''));
  const [now, then] = [lines(next), lines(before)];
  const only = (a: string[], b: string[]) => a.filter((line) => !b.includes(line));
  return [...only(now, then).map((line) => `-${line}`), ...only(then, now).map((line) => `+${line}`)].join('\n');
}

export function podStatusErrors(object: UnknownObject, old: UnknownObject | undefined): FieldError[] {
  const [next, before] = [object as Pod, (old ?? {}) as Pod];
  const errors: FieldError[] = [];
  if (next.spec?.nodeName !== before.spec?.nodeName)
    errors.push(forbiddenField('status.nodeName', 'may not be changed directly'));
  // Pods that always restart may run anything again.
  if (before.spec?.restartPolicy === 'Always') return errors;
  const rules = new Map(
    [...(before.spec?.containers ?? []), ...(before.spec?.initContainers ?? [])].map((container) => [
      container.name,
      container.restartPolicy ?? before.spec?.restartPolicy,
    ]),
  );
  for (const name of ['containerStatuses', 'initContainerStatuses'] as const)
    for (const [i, now] of (next.status?.[name] ?? []).entries()) {
      const ended = before.status?.[name]?.find((status) => status.name === now.name)?.state?.terminated;
      if (!ended || now.state?.terminated) continue;
      const policy = rules.get(now.name);
      if (policy === 'Always' || (policy === 'OnFailure' && ended.exitCode !== 0)) continue;
      errors.push(
        forbiddenField(`${at(`status.${name}`, i)}.state`, 'may not be transitioned to non-terminated state'),
      );
    }
  return errors;
}

export function podEphemeralErrors(object: UnknownObject, old: UnknownObject | undefined): FieldError[] {
  const [next, before] = [specOf(object), specOf(old ?? {})];
  const errors = podSpecErrors(next, 'spec').filter(({ field }) => field.startsWith('spec.ephemeralContainers'));
  const added = next.ephemeralContainers ?? [];
  for (const existing of before.ephemeralContainers ?? []) {
    const now = added.find(({ name }) => name === existing.name);
    if (!now)
      errors.push(
        forbiddenField(
          'spec.ephemeralContainers',
          `existing ephemeral containers ${JSON.stringify(existing.name)} may not be removed\n`,
        ),
      );
    else if (!isDeepStrictEqual(withoutEmpty(now), withoutEmpty(existing)))
      errors.push(
        forbiddenField(
          'spec.ephemeralContainers',
          `existing ephemeral containers ${JSON.stringify(existing.name)} may not be changed\n`,
        ),
      );
  }
  return errors;
}
