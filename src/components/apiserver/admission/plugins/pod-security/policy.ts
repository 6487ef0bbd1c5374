/** Levels and versions from a namespace's labels, and what a pod violates of them. Pure. */
import type { Pod } from '../../../../../machinery/api/types.ts';
import type { FieldError } from '../../../errors.ts';
import { baselineChecks } from './baseline.ts';
import { restrictedChecks } from './restricted.ts';
import type { Check, Violation } from './wording.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';
export type Mode = 'enforce' | 'audit' | 'warn';

export interface LevelVersion {
  level: Level;
  /** `latest` or `v1.N`. */
  version: string;
}

export type Policy = Record<Mode, LevelVersion>;

const prefix = 'pod-security.kubernetes.io/';
const levels: Level[] = ['privileged', 'baseline', 'restricted'];
const modes: Mode[] = ['enforce', 'audit', 'warn'];
const versionSyntax = /^v1\.(0|[1-9][0-9]*)$/;

const isLevel = (text: string): text is Level => levels.includes(text as Level);
const isVersion = (text: string): boolean => text === 'latest' || versionSyntax.test(text);

/** What labels say; what they get wrong counts as restricted when it is enforced, as nothing else. */
export function policyOf(labels: Record<string, string> | undefined): { policy: Policy; errors: FieldError[] } {
  const errors: FieldError[] = [];
  const policy = Object.fromEntries(modes.map((mode) => [mode, { level: 'privileged', version: 'latest' }])) as Policy;
  const complain = (label: string, value: string, detail: string) =>
    errors.push({
      type: 'FieldValueInvalid',
      field: `metadata.labels[${label}]`,
      message: `Invalid value: ${JSON.stringify(value)}: ${detail}`,
    });
  for (const mode of modes) {
    const level = labels?.[`${prefix}${mode}`];
    if (level !== undefined) {
      if (isLevel(level)) policy[mode].level = level;
      else {
        complain(`${prefix}${mode}`, level, `must be one of ${levels.join(', ')}`);
        policy[mode].level = mode === 'enforce' ? 'restricted' : 'privileged';
      }
    }
    const version = labels?.[`${prefix}${mode}-version`];
    if (version === undefined) continue;
    if (isVersion(version)) policy[mode].version = version;
    else complain(`${prefix}${mode}-version`, version, 'must be "latest" or "v1.x"');
  }
  // Where only the enforced level is named, owners of pods are warned and audited by it too.
  for (const mode of ['audit', 'warn'] as const)
    if (labels?.[`${prefix}enforce`] !== undefined && labels[`${prefix}${mode}`] === undefined)
      policy[mode] = { ...policy.enforce };
  return { policy, errors };
}

export const samePolicy = (a: LevelVersion, b: LevelVersion): boolean => a.level === b.level && a.version === b.version;
export const printPolicy = ({ level, version }: LevelVersion): string => `${level}:${version}`;

/** Baseline checks first, each in the order of its id, as upstream lists them. */
export function violations({ level, version }: LevelVersion, pod: Pod): Violation[] {
  if (level === 'privileged') return [];
  const minor = Number(versionSyntax.exec(version)?.[1] ?? Number.POSITIVE_INFINITY);
  const applies = ({ since }: Check) => since <= minor;
  const restricted = level === 'restricted' ? restrictedChecks.filter(applies) : [];
  const overridden = new Set(restricted.flatMap(({ overrides }) => overrides ?? []));
  return [...baselineChecks.filter((check) => applies(check) && !overridden.has(check.id)), ...restricted].flatMap(
    ({ check }) => check(pod) ?? [],
  );
}

export const listed = (found: Violation[]): string =>
  found.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
export const reasons = (found: Violation[]): string => found.map(({ reason }) => reason).join(', ');
