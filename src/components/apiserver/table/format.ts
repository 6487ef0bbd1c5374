/** Values as tables show them: durations, labels, selectors, shortened lists. */
import { formatSelector, labelSelectorOf, mapSelector, SelectorError } from '../../../machinery/api/selectors.ts';
import type { LabelSelector } from '../../../machinery/api/types.ts';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** Upstream's HumanDuration: two units while they matter, then one. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * minute) return `${seconds}s`;
  const minutes = Math.floor(seconds / minute);
  if (minutes < 10) return withRest(`${minutes}m`, seconds % minute, 's');
  if (minutes < 3 * 60) return `${minutes}m`;
  const hours = Math.floor(seconds / hour);
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(seconds / day);
  if (days < 8) return withRest(`${days}d`, hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? withRest(`${years}y`, days % 365, 'd') : `${years}y`;
}

const withRest = (whole: string, rest: number, unit: string): string => (rest === 0 ? whole : `${whole}${rest}${unit}`);

/** The age of a time, `<unknown>` when it is not set. */
export function since(time: string | null | undefined, now: number): string {
  return time ? humanDuration(now - Date.parse(time)) : '<unknown>';
}

/** `a=b,c=d`, sorted; `<none>` without labels. */
export function labels(map: Record<string, string> | undefined): string {
  const text = formatSelector(mapSelector(map ?? {}));
  return text === '' ? '<none>' : text;
}

/** A selector as one line; `nothing` stands for an empty one, `invalid` for one that cannot be read. */
export function selector(value: LabelSelector | undefined, nothing = '<none>', invalid = '<error>'): string {
  try {
    const text = formatSelector(labelSelectorOf(value) ?? []);
    return text === '' ? nothing : text;
  } catch (error) {
    if (error instanceof SelectorError) return invalid;
    throw error;
  }
}

/** Names and images of containers, each on one line. */
export const containers = (list: { name?: string; image?: string }[] | undefined): [string, string] => [
  (list ?? []).map(({ name }) => name ?? '').join(','),
  (list ?? []).map(({ image }) => image ?? '').join(','),
];

/** The first `limit` entries, and how many more there are. */
export function shortened(list: string[], limit: number, empty: string, separator = ','): string {
  const text = list.slice(0, limit).join(separator);
  if (list.length > limit) return `${text} + ${list.length - limit} more...`;
  return text === '' ? empty : text;
}

export const yesNo = (value: boolean | undefined): string =>
  value === undefined ? '<unset>' : value ? 'True' : 'False';

/** `RWO,ROX`, in upstream's order. */
export const accessModes = (modes: string[] | undefined): string =>
  Object.entries({ ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' })
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');

/** Addresses of a load balancer, sorted, each once. */
export const loadBalancerAddresses = (status: { ingress?: { ip?: string; hostname?: string }[] } | undefined): string =>
  [...new Set((status?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').filter(Boolean))]
    .sort()
    .join(',');
