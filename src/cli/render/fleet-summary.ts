/** What became of each host of a run: a table with a line per host. */
import type { FleetEvent } from '../../installer/fleet/events.ts';
import { formatTable } from '../table.ts';

type Ended = Extract<FleetEvent, { type: 'fleet-ended' }>;

/** Many phases by their groups. */
const groupsOf = (names: string[]): string[] =>
  names.length > 8 ? [...new Set(names.map((name) => name.split('/')[0] ?? name))] : names;

const words = { changed: 'would change', unchanged: 'unchanged', failed: 'failed', unreachable: 'unreachable' };

/** Empty when there is nothing to say of single hosts. */
export function summaryTable({ hosts = [], dryRun }: Ended): string {
  if (!hosts.length) return '';
  const rows = hosts.map(({ name, outcome, changed, error }) => [
    name,
    dryRun ? words[outcome] : outcome,
    error
      ? [error.message, error.advice].filter(Boolean).join('; ').replaceAll('\n', ' ')
      : groupsOf(changed).join(', '),
  ]);
  const left = hosts.flatMap(({ name, leftovers }) => leftovers.map((what) => `  ${name}: ${what}`));
  const told = left.length
    ? `\nnot given any more, and still there (--prune takes it away):\n${left.join('\n')}\n`
    : '';
  return `${formatTable(['HOST', 'RESULT', 'WHAT'], rows)}${told}`;
}
