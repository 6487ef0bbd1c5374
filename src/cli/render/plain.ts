/** Events as plain lines: for logs, pipes and terminals without cursor. */
import type { PhaseEvent } from '../../installer/phases/events.ts';

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

/** What a dry run would write, set off from the line that names the file. */
export const differenceLines = (difference: string | undefined): string[] =>
  (difference?.split('\n') ?? []).map((line) => `    ${line}`);

export const outcomeWords = ({ outcome, dryRun }: { outcome: string; dryRun?: boolean }): string =>
  dryRun && outcome === 'changed' ? 'would change' : outcome;

function endedWords({ dryRun, changed }: { dryRun?: boolean; changed: boolean }): string {
  if (dryRun) return changed ? 'this is what would change' : 'nothing would change';
  return changed ? 'done' : 'nothing had to be changed';
}

/** undefined: nothing to print. */
export function plainLine(event: PhaseEvent): string | undefined {
  const prefix = `[${event.host}]`;
  switch (event.type) {
    case 'started':
      return `${prefix} kinit ${event.command}${event.dryRun ? ' (dry run)' : ''}`;
    case 'phase-started':
      return undefined;
    case 'phase-ended':
      if (event.outcome === 'skipped') return undefined;
      return `${prefix} [${event.phase}] ${event.title}: ${outcomeWords(event)} (${seconds(event.ms)})`;
    case 'warning':
      return `${prefix} warning: ${event.message}`;
    case 'leftover':
      return `${prefix} not given any more, and still there: ${event.what}`;
    case 'planned':
      return [`${prefix} would ${event.action} ${event.what}`, ...differenceLines(event.difference)].join('\n');
    case 'ended':
      if (!event.ok) return `${prefix} failed after ${seconds(event.ms)}`;
      return `${prefix} ${endedWords(event)} (${seconds(event.ms)})`;
  }
}
