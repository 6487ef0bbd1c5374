/** The conditions of a CustomResourceDefinition: whether its names are free, its group approved, and it is established. */
import { formatTime } from '../../../machinery/api/time.ts';
import type { Condition } from '../../../machinery/api/types.ts';
import { conditionOf, type Definition, type DefinitionNames } from './definition.ts';

type Wanted = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The list with a condition set; its time is kept while its status is. */
export function withCondition(conditions: Condition[], wanted: Wanted, now: Date): Condition[] {
  const before = conditions.find(({ type }) => type === wanted.type);
  const time = before?.status === wanted.status ? before.lastTransitionTime : (formatTime(now) as never);
  const next: Condition = { lastTransitionTime: time, ...wanted } as Condition;
  if (!before) return [...conditions, next];
  const same = before.status === next.status && before.reason === next.reason && before.message === next.message;
  return same ? conditions : conditions.map((condition) => (condition === before ? next : condition));
}

interface Names {
  accepted: DefinitionNames;
  condition: Wanted;
}

/** Which of the wanted names are free; `others` are the other definitions of the group. */
export function acceptNames({ spec, status }: Definition, others: Definition[]): Names {
  const taken = { resources: new Set<string>(), kinds: new Set<string>() };
  for (const { status: theirs } of others) {
    const { plural, singular, shortNames, kind, listKind } = theirs?.acceptedNames ?? {};
    for (const name of [plural, singular, ...(shortNames ?? [])]) if (name) taken.resources.add(name);
    for (const name of [kind, listKind]) if (name) taken.kinds.add(name);
  }
  const wanted = spec.names;
  const accepted: DefinitionNames = { ...(status?.acceptedNames ?? { plural: '', kind: '' }) };
  let condition: Wanted = {
    type: 'NamesAccepted',
    status: 'True',
    reason: 'NoConflicts',
    message: 'no conflicts found',
  };
  const refuse = (reason: string, names: string[]) => {
    const message = names.map((name) => `${JSON.stringify(name)} is already in use`).join(', ');
    condition = {
      type: 'NamesAccepted',
      status: 'False',
      reason,
      message: names.length > 1 ? `[${message}]` : message,
    };
  };
  const check = (field: 'plural' | 'singular' | 'kind' | 'listKind', reason: string, used: Set<string>) => {
    const name = wanted[field];
    if (name && used.has(name)) refuse(reason, [name]);
    else if (name) accepted[field] = name;
  };
  check('plural', 'PluralConflict', taken.resources);
  check('singular', 'SingularConflict', taken.resources);
  const clashes = (wanted.shortNames ?? []).filter((name) => taken.resources.has(name));
  if (clashes.length) refuse('ShortNamesConflict', clashes);
  else if (wanted.shortNames) accepted.shortNames = wanted.shortNames;
  else delete accepted.shortNames;
  check('kind', 'KindConflict', taken.kinds);
  check('listKind', 'ListKindConflict', taken.kinds);
  if (wanted.categories) accepted.categories = wanted.categories;
  else delete accepted.categories;
  return { accepted, condition };
}

const approval = 'api-approved.kubernetes.io';

/** Groups of the project itself need somebody's approval. */
export const isProtectedGroup = (group: string): boolean =>
  ['k8s.io', 'kubernetes.io'].some((suffix) => group === suffix || group.endsWith(`.${suffix}`));

/** The annotation's state for a protected group, undefined for others. */
export function approvalOf({ metadata, spec }: Definition): Wanted | undefined {
  if (!isProtectedGroup(spec.group)) return undefined;
  const type = 'KubernetesAPIApprovalPolicyConformant';
  const given = metadata.annotations?.[approval];
  if (given === undefined)
    return {
      type,
      status: 'False',
      reason: 'MissingAnnotation',
      message: `protected groups must have approval annotation "${approval}", see https://github.com/kubernetes/enhancements/pull/1111`,
    };
  if (given.startsWith('unapproved'))
    return { type, status: 'False', reason: 'UnapprovedAPI', message: `not approved: ${JSON.stringify(given)}` };
  if (URL.canParse(given))
    return { type, status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${given}` };
  return {
    type,
    status: 'False',
    reason: 'InvalidAnnotation',
    message: `protected groups must have approval annotation "${approval}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`,
  };
}

/** The status as it should be, undefined when it is so already. Once established, a definition stays it. */
export function nextStatus(
  definition: Definition,
  others: Definition[],
  now: Date,
): NonNullable<Definition['status']> | undefined {
  const { accepted, condition } = acceptNames(definition, others);
  const before = definition.status?.conditions ?? [];
  let conditions = withCondition(before, condition, now);
  const established = conditionOf(definition, 'Established')?.status === 'True';
  if (!established)
    conditions = withCondition(
      conditions,
      condition.status === 'True'
        ? {
            type: 'Established',
            status: 'True',
            reason: 'InitialNamesAccepted',
            message: 'the initial names have been accepted',
          }
        : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' },
      now,
    );
  const approved = approvalOf(definition);
  if (approved) conditions = withCondition(conditions, approved, now);
  const sameNames = namesKey(accepted) === namesKey(definition.status?.acceptedNames);
  if (conditions === before && sameNames) return undefined;
  return { ...definition.status, conditions, acceptedNames: accepted };
}

const namesKey = (names: DefinitionNames | undefined): string =>
  JSON.stringify([
    names?.plural,
    names?.singular,
    names?.kind,
    names?.listKind,
    names?.shortNames ?? [],
    names?.categories ?? [],
  ]);
