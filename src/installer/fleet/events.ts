/** What happens on the hosts of an inventory, as it happens: for a terminal, for logs, for programs. */

import type { EventError, PhaseEvent } from '../phases/events.ts';
import type { Traffic } from './connection.ts';

/** What the workstation itself does to a host, around the phases that kinit runs there. */
export type FleetStep =
  | 'connect'
  | 'ship'
  | 'unpack'
  | 'snapshot'
  | 'ways'
  | 'token'
  | 'certificates'
  | 'kubeconfig'
  | 'ready'
  | 'labels'
  | 'cluster'
  | 'drain'
  | 'uncordon'
  | 'reset'
  | 'etcd-member'
  | 'silence'
  | 'address'
  | 'node';

interface FleetEventBase {
  /** RFC 3339 with milliseconds. */
  time: string;
  /** The host's name in the inventory. */
  host: string;
}

export type FleetEvent =
  | (FleetEventBase & { type: 'step-started'; step: FleetStep; title: string })
  | (FleetEventBase & {
      type: 'step-progress';
      step: FleetStep;
      /** Bytes that are on the host, of those that it lacked. */
      done: number;
      total: number;
      /** Since the step began. */
      bytesPerSecond: number;
    })
  | (FleetEventBase & {
      type: 'step-ended';
      step: FleetStep;
      title: string;
      outcome: 'changed' | 'unchanged' | 'failed';
      /** What was found or done, in a few words. */
      detail?: string;
      ms: number;
    })
  | (FleetEventBase & { type: 'host-failed'; outcome: 'failed' | 'unreachable'; error: EventError })
  | PhaseEvent
  | {
      type: 'fleet-ended';
      time: string;
      ok: boolean;
      dryRun: boolean;
      changed: boolean;
      ms: number;
      /** Hosts on which nothing was done, because another one failed before. */
      untouched: string[];
      failed: string[];
      /** What became of each host, in the order of the inventory; of a dry run: what would become of it. */
      hosts?: HostSummary[];
      /** Commands and bytes that went over the connection to each host. */
      traffic?: Record<string, Traffic>;
    };

export interface HostSummary {
  name: string;
  outcome: 'changed' | 'unchanged' | 'failed' | 'unreachable';
  /** Phases and steps that changed something. */
  changed: string[];
  /** Set once, not given any more, and still there. */
  leftovers: string[];
  error?: EventError;
}

export type FleetSink = (event: FleetEvent) => void;
