/**
 * The event log of a command on a host: JSON lines. `kinit … --output json` prints it, a detached job writes it to a
 * file, and the workstation follows that file and draws it; the terminal of the host draws the same events.
 */
import type { UnknownObject } from '../../machinery/api/types.ts';
import type { ErrorCode } from '../errors.ts';

interface EventBase {
  /** RFC 3339 with milliseconds. */
  time: string;
  /** Host name, as the host knows itself. */
  host: string;
}

/** What a command leaves behind for its user. */
export interface Outcome {
  joinCommand?: string;
  kubeconfig?: string;
  /** Made by kinit, for control planes that join; one that was given is not told again. */
  certificateKey?: string;
  /** Of a dry run: the ConfigMaps that say how the cluster is set up, as they would be. */
  stored?: UnknownObject[];
}

/** What runs as a session of phases on a host. */
export type SessionCommand =
  | 'init'
  | 'join'
  | 'reset'
  | 'etcd restore'
  | 'upgrade apply'
  | 'upgrade node'
  | 'upgrade rollback'
  | 'certs rotate-node'
  | 'encryption rotate-node';

export type PhaseEvent =
  | (EventBase & {
      type: 'started';
      command: SessionCommand;
      dryRun: boolean;
      phases: { name: string; title: string }[];
    })
  | (EventBase & { type: 'phase-started'; phase: string; title: string })
  | (EventBase & {
      type: 'phase-ended';
      phase: string;
      title: string;
      outcome: 'changed' | 'unchanged' | 'skipped' | 'failed';
      ms: number;
      dryRun?: boolean;
    })
  | (EventBase & { type: 'warning'; message: string })
  /** Set once, not given any more, and still there: `--prune` takes it away. */
  | (EventBase & { type: 'leftover'; what: string })
  /** What a dry run would do. */
  | (EventBase & {
      type: 'planned';
      action: string;
      what: string;
      difference?: string;
      /** What would do it, when it is no phase. */
      step?: string;
    })
  | (EventBase & {
      type: 'ended';
      ok: true;
      dryRun?: boolean;
      changed: boolean;
      ms: number;
    } & Outcome)
  | (EventBase & { type: 'ended'; ok: false; changed: boolean; ms: number; error: EventError });

/** A KinitError as it travels. */
export interface EventError {
  code: ErrorCode;
  exitCode: number;
  message: string;
  phase?: string;
  seen?: string;
  advice?: string;
}

export type EventSink = (event: PhaseEvent) => void;

/** An event without what every event has. */
export type EventBody = PhaseEvent extends infer E ? (E extends PhaseEvent ? Omit<E, 'time' | 'host'> : never) : never;

export function eventOf(host: string, body: EventBody, now = new Date()): PhaseEvent {
  return { time: now.toISOString(), host, ...body } as PhaseEvent;
}

export function formatEvent(event: PhaseEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** undefined for a line that is no event (a torn last line, output of something else). */
export function parseEvent(line: string): PhaseEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'type' in value && 'host' in value
      ? (value as PhaseEvent)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
