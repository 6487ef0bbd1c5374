/** What answers of `/readyz` say of an API server, and asking for them. */
import { pause } from '../../machinery/process/pause.ts';

/** `suspect`: new connections go elsewhere; `down`: also those that are there are better off elsewhere. */
export type State = 'unknown' | 'healthy' | 'suspect' | 'down';

export interface Health {
  state: State;
  /** Since the last good answer. */
  failures: number;
}

/** `refused`: nobody listens there; `unready`: it says so, or is not of this cluster; `silent`: no answer in time. */
export type Outcome = 'ready' | 'refused' | 'unready' | 'silent';

/** The second time an answer is waited for longer: who is only slow gets by. */
const failuresThatCount = { unready: 3, silent: 2 };

/**
 * A port where nobody listens leaves no doubt. Silence may be the load of this host or that one: ending the connections of a server that is
 * slow makes all its clients come at once, and it slower still.
 * @param heard whether something has come through its connections since the last answer that was missed
 */
export function judge({ state, failures }: Health, outcome: Outcome, heard = false): Health {
  if (outcome === 'ready') return { state: 'healthy', failures: 0 };
  const counted = outcome === 'silent' && heard ? Math.max(failures, 1) : failures + 1;
  const isDown = state === 'down' || outcome === 'refused' || counted >= failuresThatCount[outcome];
  return { state: isDown ? 'down' : 'suspect', failures: counted };
}

const healthyMs = 5_000;
const usedMs = 1_000;
const suspectMs = 200;

/** How long until the next question: a server that carries connections is asked more often. */
export function delayFor(state: State, used: boolean): number {
  if (state === 'suspect' || state === 'unknown') return suspectMs;
  return state === 'down' || used ? usedMs : healthyMs;
}

export interface Watched {
  probe(server: string, state: State, signal: AbortSignal): Promise<{ outcome: Outcome; seen: string }>;
  /** Whether connections go through it. */
  isUsed(server: string): boolean;
  /** Bytes that have come from it through them, over all time. */
  received(server: string): number;
  changed(server: string, state: State, seen: string): void;
  /** After each question. */
  judged(): void;
}

interface Entry {
  health: Health;
  /** What had come from it when it was judged last. */
  received: number;
  /** When the question was asked that it has answered last; and the first one since then that it has not. */
  goodSince: number;
  badSince: number;
  stop: AbortController;
  /** Ends the pause between two questions, or leaves out the next one. */
  wake(): void;
  again: boolean;
}

/** Asks each server over and over, and says when what is known of it changes. */
export class Watch {
  readonly #watched: Watched;
  readonly #servers = new Map<string, Entry>();

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  stateOf(server: string): State {
    return this.#servers.get(server)?.health.state ?? 'unknown';
  }

  /** Whether a healthy one has answered a question that was asked after the first that this one has missed. */
  hasBetterThan(server: string): boolean {
    const badSince = this.#servers.get(server)?.badSince ?? 0;
    return [...this.#servers.values()].some(
      ({ health, goodSince }) => health.state === 'healthy' && goodSince > badSince,
    );
  }

  /** From now on exactly these are asked. */
  follow(servers: readonly string[], signal: AbortSignal): void {
    for (const [server, { stop }] of this.#servers) {
      if (servers.includes(server)) continue;
      stop.abort();
      this.#servers.delete(server);
    }
    for (const server of servers) if (!this.#servers.has(server)) void this.#ask(server, signal);
  }

  /** A connection could not be made: better ask now. */
  doubt(server: string): void {
    const entry = this.#servers.get(server);
    if (!entry || entry.health.state === 'down') return;
    if (entry.health.state === 'healthy') this.#judged(server, 'silent', 'no connection', Date.now());
    entry.wake();
  }

  #judged(server: string, outcome: Outcome, seen: string, asked: number): void {
    const entry = this.#servers.get(server);
    if (!entry) return;
    const before = entry.health.state;
    const received = this.#watched.received(server);
    entry.health = judge(entry.health, outcome, entry.health.failures > 0 && received > entry.received);
    entry.received = received;
    if (outcome === 'ready') entry.goodSince = asked;
    if (entry.health.state !== before) this.#watched.changed(server, entry.health.state, seen);
    if (before === 'healthy' && outcome !== 'ready') {
      entry.badSince = asked;
      // Whether it is this one or this host, the others tell.
      for (const other of this.#servers.values()) if (other !== entry) other.wake();
    }
    this.#watched.judged();
  }

  async #ask(server: string, outer: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([outer, stop.signal]);
    const entry: Entry = {
      health: { state: 'unknown', failures: 0 },
      received: 0,
      goodSince: 0,
      badSince: 0,
      stop,
      wake: () => {
        entry.again = true;
      },
      again: false,
    };
    this.#servers.set(server, entry);
    while (!signal.aborted) {
      const asked = Date.now();
      const { outcome, seen } = await this.#watched.probe(server, entry.health.state, signal);
      if (signal.aborted) return;
      this.#judged(server, outcome, seen, asked);
      await this.#pause(server, entry, signal);
    }
  }

  /** Looked at every second: a connection that has come since makes it shorter. */
  async #pause(server: string, entry: Entry, signal: AbortSignal): Promise<void> {
    const waking = new AbortController();
    const { wake } = entry;
    if (entry.again) waking.abort();
    entry.again = false;
    const either = AbortSignal.any([signal, waking.signal]);
    entry.wake = () => waking.abort();
    const from = Date.now();
    // Not all nodes at the same moment.
    const share = 0.8 + Math.random() * 0.4;
    const left = () => from + share * delayFor(entry.health.state, this.#watched.isUsed(server)) - Date.now();
    while (!either.aborted && left() > 0) await pause(Math.min(left(), usedMs), either);
    entry.wake = wake;
  }
}
