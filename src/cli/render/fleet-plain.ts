/** What happens on the hosts of an inventory as plain lines. */
import type { FleetEvent } from '../../installer/fleet/events.ts';
import { plainLine } from './plain.ts';

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

/** undefined: the error is printed elsewhere. */
export function closingLine({
  ok,
  dryRun,
  changed,
  hosts = [],
  ms,
}: FleetEvent & { type: 'fleet-ended' }): string | undefined {
  if (!ok) return undefined;
  if (dryRun && !changed) return `nothing would change (${seconds(ms)})`;
  if (dryRun) {
    const count = hosts.filter(({ outcome }) => outcome === 'changed').length;
    return `${count} of ${hosts.length} hosts would change; nothing was changed (${seconds(ms)})`;
  }
  return changed ? `done in ${seconds(ms)}` : `nothing had to be changed (${seconds(ms)})`;
}

/** Lines for a log: how far a copy has come is told now and then. */
export function fleetLines(clock: () => number = Date.now): (event: FleetEvent) => string | undefined {
  const told = new Map<string, number>();
  return (event) => {
    if (event.type === 'step-started') told.set(event.host, clock());
    if (event.type !== 'step-progress') return fleetLine(event);
    if (clock() - (told.get(event.host) ?? 0) < progressMs) return undefined;
    told.set(event.host, clock());
    return `[${event.host}] [${event.step}] ${howFar(event)}`;
  };
}

const progressMs = 5000;

const mib = (bytes: number) => Math.round(bytes / (1 << 20));

export const howFar = ({ done, total, bytesPerSecond }: FleetEvent & { type: 'step-progress' }): string =>
  `${mib(done)} of ${mib(total)} MiB, ${mib(bytesPerSecond)} MiB/s`;

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
