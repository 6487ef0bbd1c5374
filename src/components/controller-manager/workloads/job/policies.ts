/** A Job's podFailurePolicy and successPolicy. */
import type { Job, Pod } from '../../../../machinery/api/types.ts';
import { IndexSet } from './indexes.ts';

export interface FailureVerdict {
  action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  /** With FailJob. */
  message?: string;
}

type FailureRule = NonNullable<NonNullable<NonNullable<Job['spec']>['podFailurePolicy']>['rules']>[number];

/** What the first matching rule says about a failed pod; without one it counts. */
export function failureVerdict(job: Job, pod: Pod): FailureVerdict {
  for (const [index, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const match = matchRule(rule, pod);
    if (!match) continue;
    if (rule.action !== 'FailJob') return { action: rule.action as FailureVerdict['action'] };
    return { action: 'FailJob', message: `${match} matching FailJob rule at index ${index}` };
  }
  return { action: 'Count' };
}

function matchRule({ onExitCodes, onPodConditions }: FailureRule, pod: Pod): string | undefined {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    for (const { name: container, state } of statuses) {
      const code = state?.terminated?.exitCode;
      if (!code || (containerName && containerName !== container)) continue;
      if (values.includes(code) === (operator === 'In'))
        return `Container ${container} for pod ${name} failed with exit code ${code}`;
    }
  }
  for (const { type, status = 'True' } of onPodConditions ?? [])
    if (pod.status?.conditions?.some((condition) => condition.type === type && condition.status === status))
      return `Pod ${name} has condition ${type}`;
  return undefined;
}

/** The message of the first rule of the successPolicy that the succeeded indexes meet. */
export function successMessage(job: Job, succeeded: IndexSet): string | undefined {
  const completions = job.spec?.completions ?? 0;
  for (const [index, { succeededIndexes, succeededCount }] of (job.spec?.successPolicy?.rules ?? []).entries()) {
    const wanted = succeededIndexes === undefined ? undefined : IndexSet.parse(succeededIndexes, completions);
    let count = succeeded.size;
    if (wanted) {
      count = 0;
      for (let each = 0; each < completions; each += 1) if (wanted.has(each) && succeeded.has(each)) count += 1;
    }
    if (count >= (succeededCount ?? wanted?.size ?? Number.POSITIVE_INFINITY)) return `Matched rules at index ${index}`;
  }
  return undefined;
}
