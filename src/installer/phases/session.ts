/** One run of a command on a host: context, phases, events, and the journal of both outcomes. */
import { hostname } from 'node:os';
import { asKinitError, type KinitError } from '../errors.ts';
import { createChanges } from '../host/changes.ts';
import { differenceOf, saveFiles } from '../host/differences.ts';
import { type DryRunHost, dryRunHost, type PlannedChange } from '../host/dry-run.ts';
import { observeHost } from '../host/facts.ts';
import type { Host } from '../host/host.ts';
import { openJournal } from '../host/journal.ts';
import { lockHost } from '../host/lock.ts';
import { anyChanged, type Phase, type PhaseContext, type PhaseResult, runPhases } from './engine.ts';
import {
  type EventBody,
  type EventError,
  type EventSink,
  eventOf,
  type Outcome,
  type SessionCommand,
} from './events.ts';

export interface SessionOptions {
  host: Host;
  dryRun: boolean;
  /** What was set once and is not given any more goes. */
  prune?: boolean;
  /** Where a dry run leaves the files that it would have written. */
  dryRunFolder?: string;
  events: EventSink;
  /** Ctrl-C, SIGTERM. */
  signal: AbortSignal;
}

export interface SessionPlan<C extends PhaseContext> {
  phases: readonly Phase<C>[];
  context: C;
  skip: readonly string[];
  /** Called after the phases, also when they failed. */
  close?(): void;
}

export interface SessionResult {
  changed: boolean;
  phases: PhaseResult[];
}

function eventError(error: KinitError): EventError {
  const { phase, seen, advice } = error.details;
  const { code, exitCode, message } = error;
  return {
    code,
    exitCode,
    message,
    ...(phase ? { phase } : {}),
    ...(seen ? { seen } : {}),
    ...(advice ? { advice } : {}),
  };
}

/** What is written more than once is told once, and what comes and goes within the run not at all. */
function toldOf(planned: readonly PlannedChange[], passing: ReadonlySet<string>): PlannedChange[] {
  const written = new Set<string>();
  return planned.filter(({ action, what }) => {
    if (passing.has(what)) return false;
    const again = action === 'write' && written.has(what);
    written.add(what);
    return !again;
  });
}

async function tellPlan(dry: DryRunHost, { dryRunFolder }: SessionOptions, emit: (body: EventBody) => void) {
  const files = await dry.written();
  const differences = new Map(files.map((file) => [file.path, differenceOf(file)]));
  for (const { action, what, difference = differences.get(what) } of toldOf(dry.planned, await dry.passing())) {
    emit({ type: 'planned', action, what, ...(difference ? { difference } : {}) });
  }
  if (dryRunFolder) await saveFiles(files, dryRunFolder);
}

/**
 * Runs a command. Its events go to the sink, the last one is `ended`.
 * @param plan makes context and phases from what was observed; what it throws ends the session like a failed phase
 * @throws KinitError what stopped it, after the event
 */
export async function runSession<C extends PhaseContext>(
  command: SessionCommand,
  options: SessionOptions,
  plan: (base: PhaseContext) => Promise<SessionPlan<C>>,
  outcome: (context: C) => Outcome = () => ({}),
): Promise<SessionResult> {
  const started = performance.now();
  const ms = () => Math.round(performance.now() - started);
  let name = hostname();
  const emit = (body: EventBody) => options.events(eventOf(name, body));
  const ended: PhaseResult[] = [];
  const dry = options.dryRun ? dryRunHost(options.host) : undefined;
  const host = dry ?? options.host;
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  let unlock: () => Promise<void> = () => Promise.resolve();
  let close: () => void = () => undefined;
  try {
    const facts = await observeHost(host);
    name = facts.hostname;
    if (facts.uid === 0) unlock = await lockHost(host);
    const changes = createChanges(host, await openJournal(host));
    const base: PhaseContext = {
      host,
      changes,
      facts,
      signal,
      warn: (message) => emit({ type: 'warning', message }),
      prune: options.prune ?? false,
      leftover: (what) => emit({ type: 'leftover', what }),
      ...(dry ? { plan: (change: PlannedChange) => dry.planned.push(change) } : {}),
    };
    const { phases, context, skip, close: closePlan } = await plan(base);
    if (closePlan) close = closePlan;
    const titles = phases.map((phase) => ({ name: phase.name, title: phase.title }));
    emit({ type: 'started', command, dryRun: options.dryRun, phases: titles });
    const results = await runPhases(phases, context, {
      skip,
      abort: (reason) => abort.abort(reason),
      observer: {
        phaseStarted: (phase) => emit({ type: 'phase-started', phase: phase.name, title: phase.title }),
        phaseEnded: (result) => {
          ended.push(result);
          const { name: phase, title, outcome: what, ms: took } = result;
          emit({ type: 'phase-ended', phase, title, outcome: what, ms: took, ...(dry ? { dryRun: true } : {}) });
        },
      },
    });
    if (dry) await tellPlan(dry, options, emit);
    const changed = anyChanged(results);
    emit({ type: 'ended', ok: true, ...(dry ? { dryRun: true } : {}), changed, ms: ms(), ...outcome(context) });
    return { changed, phases: results };
  } catch (thrown) {
    const error = asKinitError(thrown, { host: name });
    emit({ type: 'ended', ok: false, changed: anyChanged(ended), ms: ms(), error: eventError(error) });
    throw error;
  } finally {
    close();
    await unlock();
  }
}
