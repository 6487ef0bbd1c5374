/** Jobs and cron jobs. */
import { isDeepStrictEqual } from 'node:util';
import { labelSelectorOf, matchesSelector } from '../../../machinery/api/selectors.ts';
import type { CronJob, Job, PodTemplateSpec, UnknownObject } from '../../../machinery/api/types.ts';
import { nonNegative, optionalOneOf } from './checks.ts';
import { type FieldError, fieldImmutable, invalidValue, required } from './field-errors.ts';
import { podTemplateErrors } from './pods/spec.ts';
import { labelSelectorErrors } from './selectors.ts';

type JobSpec = NonNullable<Job['spec']>;

const counters = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

function jobSpecErrors(spec: JobSpec, field: string): FieldError[] {
  const errors = counters.flatMap((name) => nonNegative(spec[name], `${field}.${name}`));
  if (spec.completionMode) {
    errors.push(...optionalOneOf(spec.completionMode, ['NonIndexed', 'Indexed'], `${field}.completionMode`));
    if (spec.completionMode === 'Indexed' && (spec.completions === undefined || spec.completions === null))
      errors.push(required(`${field}.completions`, 'when completion mode is Indexed'));
  }
  if (
    spec.completionMode !== 'Indexed' &&
    spec.backoffLimitPerIndex !== undefined &&
    spec.backoffLimitPerIndex !== null
  )
    errors.push(
      invalidValue(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'),
    );
  errors.push(...podTemplateErrors(spec.template, `${field}.template`));
  const policy = spec.template?.spec?.restartPolicy;
  const policyField = `${field}.template.spec.restartPolicy`;
  if (policy !== 'OnFailure' && policy !== 'Never')
    errors.push(required(policyField, 'valid values: "OnFailure", "Never"'));
  else if (spec.podFailurePolicy && policy !== 'Never')
    errors.push(invalidValue(policyField, policy, 'only "Never" is supported when podFailurePolicy is specified'));
  return errors;
}

export function jobErrors(object: UnknownObject): FieldError[] {
  const { spec } = object as unknown as Job;
  if (!spec) return [required('spec.template')];
  const errors = jobSpecErrors(spec, 'spec');
  const labels = spec.template?.metadata?.labels;
  if (!spec.selector) errors.push(required('spec.selector'));
  else {
    const bad = labelSelectorErrors(spec.selector, 'spec.selector');
    errors.push(...bad);
    if (!bad.length && !matchesSelector(labelSelectorOf(spec.selector), labels))
      errors.push(
        invalidValue('spec.template.metadata.labels', labels ?? null, '`selector` does not match template `labels`'),
      );
  }
  return errors;
}

const fixedFields = [
  'selector',
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const;

export function jobUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const next = (object as unknown as Job).spec as JobSpec;
  const before = (old as unknown as Job).spec as JobSpec;
  const errors = jobErrors(object);
  const elastic = next.completionMode === 'Indexed' && next.completions === next.parallelism;
  if (next.completions !== before.completions && !elastic)
    errors.push(invalidValue('spec.completions', next.completions ?? null, fieldImmutable));
  for (const name of fixedFields)
    if (!isDeepStrictEqual(next[name] ?? undefined, before[name] ?? undefined))
      errors.push(invalidValue(`spec.${name}`, next[name] ?? null, fieldImmutable));
  // A job that has not started may still be told where its pods go.
  const waiting = before.suspend === true && !(old as unknown as Job).status?.startTime;
  const fixed = waiting ? withoutScheduling(next.template) : next.template;
  if (!isDeepStrictEqual(fixed, waiting ? withoutScheduling(before.template) : before.template))
    errors.push(invalidValue('spec.template', next.template, fieldImmutable));
  return errors;
}

function withoutScheduling(template: PodTemplateSpec): PodTemplateSpec {
  const copy = structuredClone(template);
  for (const name of ['affinity', 'nodeSelector', 'tolerations', 'schedulingGates'] as const) delete copy.spec?.[name];
  delete copy.metadata?.labels;
  delete copy.metadata?.annotations;
  return copy;
}

const longestName = 52;

export function cronJobErrors(object: UnknownObject): FieldError[] {
  const { spec, metadata } = object as unknown as CronJob;
  if (!spec) return [required('spec.schedule')];
  const errors: FieldError[] = [];
  if (!spec.schedule) errors.push(required('spec.schedule'));
  else {
    const problem = scheduleProblem(spec.schedule);
    if (problem) errors.push(invalidValue('spec.schedule', spec.schedule, problem));
  }
  errors.push(...nonNegative(spec.startingDeadlineSeconds, 'spec.startingDeadlineSeconds'));
  errors.push(
    ...optionalOneOf(spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'], 'spec.concurrencyPolicy'),
    ...timeZoneErrors(spec.timeZone, 'spec.timeZone'),
    ...nonNegative(spec.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit'),
    ...nonNegative(spec.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit'),
    ...jobSpecErrors(spec.jobTemplate?.spec ?? ({} as JobSpec), 'spec.jobTemplate.spec'),
  );
  if ((metadata?.name ?? '').length > longestName)
    errors.push(invalidValue('metadata.name', metadata?.name, `must be no more than ${longestName} characters`));
  return errors;
}

function timeZoneErrors(zone: string | undefined | null, field: string): FieldError[] {
  if (zone === undefined || zone === null) return [];
  if (zone === '') return [invalidValue(field, zone, 'timeZone must be nil or non-empty string')];
  if (zone.toLowerCase() === 'local')
    return [
      invalidValue(field, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
    ];
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return [];
  } catch {
    return [invalidValue(field, zone, `unknown time zone ${zone}`)];
  }
}

const cronFields: [name: string, least: number, most: number, names: string[]][] = [
  ['minute', 0, 59, []],
  ['hour', 0, 23, []],
  ['day of month', 1, 31, []],
  ['month', 1, 12, ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']],
  ['day of week', 0, 6, ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']],
];
const descriptors = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/** What is wrong with a cron line, in the words of the parser that upstream uses. */
export function scheduleProblem(schedule: string): string | undefined {
  const line = schedule.replace(/^(TZ|CRON_TZ)=\S+\s+/, '').trim();
  if (line.startsWith('@'))
    return descriptors.includes(line) || /^@every \d/.test(line) ? undefined : `unrecognized descriptor: ${line}`;
  const fields = line.split(/\s+/);
  if (fields.length !== cronFields.length)
    return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
  for (const [i, text] of fields.entries())
    for (const part of text.split(',')) {
      const problem = partProblem(part, cronFields[i] as (typeof cronFields)[number]);
      if (problem) return problem;
    }
  return undefined;
}

function partProblem(part: string, [, least, most, names]: (typeof cronFields)[number]): string | undefined {
  const [range = '', step, more] = part.split('/');
  if (more !== undefined) return `too many slashes: ${part}`;
  if (step !== undefined && !/^\d+$/.test(step))
    return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`;
  if (step !== undefined && Number(step) === 0) return `step of range should be a positive number: ${part}`;
  if (range === '*' || range === '?') return undefined;
  const ends = range.split('-');
  if (ends.length > 2) return `too many hyphens: ${part}`;
  const numbers: number[] = [];
  for (const end of ends) {
    const name = names.indexOf(end.toLowerCase());
    if (name < 0 && !/^\d+$/.test(end))
      return `failed to parse int from ${end}: strconv.Atoi: parsing ${JSON.stringify(end)}: invalid syntax`;
    numbers.push(name < 0 ? Number(end) : name + least);
  }
  const [start = 0, end = start] = numbers;
  if (start < least) return `beginning of range (${start}) below minimum (${least}): ${part}`;
  if (end > most) return `end of range (${end}) above maximum (${most}): ${part}`;
  return start > end ? `beginning of range (${start}) beyond end of range (${end}): ${part}` : undefined;
}
