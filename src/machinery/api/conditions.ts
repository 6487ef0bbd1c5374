/** Status conditions: finding one, and setting one so that its times move only when they should. */
import { formatTime } from './time.ts';

export interface AnyCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export const findCondition = <C extends AnyCondition>(conditions: C[] | undefined, type: string): C | undefined =>
  conditions?.find((condition) => condition.type === type);

export const isConditionTrue = (conditions: AnyCondition[] | undefined, type: string): boolean =>
  findCondition(conditions, type)?.status === 'True';

/**
 * A new list in which the condition has its new value. `lastTransitionTime` changes only with the status.
 * Answers the same list when nothing changed.
 */
export function withCondition<C extends AnyCondition>(
  conditions: C[] | undefined,
  condition: C,
  now: string = formatTime(),
): C[] {
  const list = conditions ?? [];
  const index = list.findIndex(({ type }) => type === condition.type);
  const old = list[index];
  if (!old) return [...list, { ...condition, lastTransitionTime: condition.lastTransitionTime ?? now }];
  const lastTransitionTime = old.status === condition.status ? old.lastTransitionTime : now;
  const next = { ...old, ...condition, ...(lastTransitionTime ? { lastTransitionTime } : {}) };
  if (sameCondition(old, next)) return list;
  return list.with(index, next);
}

function sameCondition(a: object, b: object): boolean {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...Object.keys(left), ...Object.keys(right)].every((field) => left[field] === right[field]);
}

export const withoutCondition = <C extends AnyCondition>(conditions: C[] | undefined, type: string): C[] =>
  (conditions ?? []).filter((condition) => condition.type !== type);
