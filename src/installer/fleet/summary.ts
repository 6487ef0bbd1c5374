/** What became of each host of a run, from what was told while it ran. */
import type { FleetEvent, HostSummary } from './events.ts';

export interface Summary {
  take(event: FleetEvent): void;
  /** In the order of the inventory; hosts that it does not name come last. */
  hosts(): HostSummary[];
}

export function summaryOf(names: readonly string[]): Summary {
  const hosts = new Map<string, HostSummary>();
  const of = (name: string): HostSummary => {
    const known = hosts.get(name) ?? { name, outcome: 'unchanged', changed: [], leftovers: [] };
    hosts.set(name, known);
    return known;
  };
  for (const name of names) of(name);
  const changed = (name: string, what?: string) => {
    const host = of(name);
    if (host.outcome === 'unchanged') host.outcome = 'changed';
    if (what && !host.changed.includes(what)) host.changed.push(what);
  };
  return {
    take(event) {
      switch (event.type) {
        case 'step-ended':
          if (event.outcome === 'changed') changed(event.host, event.step);
          break;
        case 'phase-ended':
          if (event.outcome === 'changed') changed(event.host, event.phase);
          break;
        case 'planned':
          changed(event.host, event.step);
          break;
        case 'leftover':
          of(event.host).leftovers.push(event.what);
          break;
        case 'host-failed':
          Object.assign(of(event.host), { outcome: event.outcome, error: event.error });
          break;
      }
    },
    hosts: () => [...hosts.values()],
  };
}
