/** How long what took on which host: a table with a row per step or group of phases and a column per host. */
import type { FleetEvent, FleetSink } from '../../installer/fleet/events.ts';
import { formatTable } from '../table.ts';

export interface FleetTimings {
  sink: FleetSink;
  /** Empty when nothing took any time. */
  table(): string;
}

export function fleetTimings(): FleetTimings {
  const hosts: string[] = [];
  const rows = new Map<string, Map<string, number>>();
  const add = (row: string, host: string, ms: number) => {
    const times = rows.get(row) ?? new Map<string, number>();
    times.set(host, (times.get(host) ?? 0) + ms);
    rows.set(row, times);
  };
  return {
    sink(event: FleetEvent) {
      // The first events of all hosts come in the order of the inventory.
      if ('host' in event && !hosts.includes(event.host)) hosts.push(event.host);
      if (event.type === 'step-ended') add(event.step, event.host, event.ms);
      else if (event.type === 'phase-ended' && event.outcome !== 'skipped')
        add(event.phase.split('/')[0] as string, event.host, event.ms);
      else if (event.type === 'ended') add('kinit in all', event.host, event.ms);
    },
    table() {
      const cell = (ms: number | undefined) => (ms === undefined ? '' : `${(ms / 1000).toFixed(2)} s`);
      const lines = [...rows].map(([row, times]) => [row, ...hosts.map((host) => cell(times.get(host)))]);
      return lines.length ? formatTable(['PHASE', ...hosts], lines) : '';
    },
  };
}
