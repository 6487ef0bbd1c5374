/** What happens on the hosts of an inventory as plain lines. */
import type { FleetEvent } from '../../installer/fleet/events.ts';
import { plainLine } from './plain.ts';

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

/** undefined: the error is printed elsewhere. */
export function closingLine({ ok, dryRun, changed, ms }: FleetEvent & { type: 'fleet-ended' }): string | undefined {
  if (!ok) return undefined;
  if (dryRun) return `nothing was changed (${seconds(ms)})`;
  return changed ? `done in ${seconds(ms)}` : `nothing had to be changed (${seconds(ms)})`;
}

/** undefined: nothing to print. */
export function fleetLine(event: FleetEvent): string | undefined {
  switch (event.type) {
    case 'step-started':
    case 'step-progress':
      return undefined;
    case 'step-ended': {
      const detail = event.detail ? `: ${event.detail}` : '';
      return `[${event.host}] [${event.step}] ${event.title}${detail}${event.outcome === 'failed' ? ': failed' : ''} (${seconds(event.ms)})`;
    }
    case 'host-failed':
      return `[${event.host}] failed: ${event.error.message}`;
    case 'fleet-ended':
      return closingLine(event);
    default:
      return plainLine(event);
  }
}
