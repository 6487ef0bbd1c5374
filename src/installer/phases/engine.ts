/**
 * Runs a list of phases in order. A background phase starts at its place in the list and goes on beside the ones that
 * follow; a phase that needs its outcome names it in `after`. The first failure stops everything.
 */
import { asKinitError, KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import type { PlannedChange } from '../host/dry-run.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Host } from '../host/host.ts';

export interface PhaseContext {
  host: Host;
  changes: Changes;
  facts: HostFacts;
  signal: AbortSignal;
  /** A line for the user that is no error. */
  warn(message: string): void;
  /** What was set once and is not given any more goes. Without it, it is told. */
  prune?: boolean;
  leftover?(what: string): void;
  /** In a dry run: told what would be done elsewhere than on this host. */
  plan?(change: PlannedChange): void;
}

export interface Phase<C extends PhaseContext = PhaseContext> {
  /** As kubeadm's, for example `certs/apiserver`; `--skip-phases` takes it. */
  name: string;
  title: string;
  background?: boolean;
  /** Background phases that must have ended before. */
  after?: readonly string[];
  /** False: there is nothing to do on this host. */
  needed?(context: C): boolean | Promise<boolean>;
  /** @returns whether anything changed */
  run(context: C): Promise<boolean>;
}

export type PhaseOutcome = 'changed' | 'unchanged' | 'skipped' | 'failed';

export interface PhaseResult {
  name: string;
  title: string;
  outcome: PhaseOutcome;
  ms: number;
  error?: KinitError;
}

export interface PhaseObserver {
  phaseStarted(phase: { name: string; title: string }): void;
  phaseEnded(result: PhaseResult): void;
}

export interface RunOptions {
  skip?: readonly string[];
  observer: PhaseObserver;
  /** Stops the background work when a phase fails. */
  abort(reason: Error): void;
}

/** `certs` and `certs/all` skip all of `certs/…`. */
export function isSkipped(name: string, skip: readonly string[]): boolean {
  const group = name.split('/')[0]!;
  return skip.includes(name) || (name !== group && (skip.includes(group) || skip.includes(`${group}/all`)));
}

/**
 * @returns one result per phase, in the order of the list
 * @throws KinitError of the first phase that failed, with its name
 */
export async function runPhases<C extends PhaseContext>(
  phases: readonly Phase<C>[],
  context: C,
  options: RunOptions,
): Promise<PhaseResult[]> {
  const results: PhaseResult[] = [];
  const background = new Map<string, Promise<void>>();
  let failure: KinitError | undefined;
  const fail = (error: KinitError) => {
    if (failure) return;
    failure = error;
    options.abort(error);
  };
  const start = async (phase: Phase<C>) => {
    const result = await runPhase(phase, context, options);
    results.push(result);
    if (result.error) fail(result.error);
  };
  for (const phase of phases) {
    const before = (phase.after ?? []).map((name) => background.get(name));
    if (phase.background) {
      background.set(
        phase.name,
        Promise.all(before).then(() => (failure ? undefined : start(phase))),
      );
      continue;
    }
    await Promise.all(before);
    if (failure) break;
    await start(phase);
    if (failure) break;
  }
  await Promise.all(background.values());
  if (failure) throw failure;
  const order = new Map(phases.map(({ name }, index) => [name, index]));
  return results.sort((a, b) => order.get(a.name)! - order.get(b.name)!);
}

async function runPhase<C extends PhaseContext>(
  phase: Phase<C>,
  context: C,
  options: RunOptions,
): Promise<PhaseResult> {
  const { name, title } = phase;
  const started = performance.now();
  const end = (outcome: PhaseOutcome, error?: KinitError): PhaseResult => {
    const result = { name, title, outcome, ms: Math.round(performance.now() - started), ...(error ? { error } : {}) };
    options.observer.phaseEnded(result);
    return result;
  };
  if (isSkipped(name, options.skip ?? [])) return end('skipped');
  try {
    context.signal.throwIfAborted();
    if (phase.needed && !(await phase.needed(context))) return end('skipped');
    options.observer.phaseStarted({ name, title });
    return end((await phase.run(context)) ? 'changed' : 'unchanged');
  } catch (thrown) {
    const why = reasonOf(thrown, context.signal);
    return end('failed', asKinitError(why, { phase: name, host: context.facts.hostname }));
  }
}

/** What was under way when somebody stopped it says only that it was aborted: the reason says more. */
function reasonOf(thrown: unknown, { aborted, reason }: AbortSignal): unknown {
  if (!aborted || !(thrown instanceof Error) || thrown.name !== 'AbortError') return thrown;
  return reason instanceof KinitError ? new KinitError(reason.code, reason.message, { ...reason.details }) : reason;
}

/** Whether any phase changed something. */
export function anyChanged(results: readonly PhaseResult[]): boolean {
  return results.some(({ outcome }) => outcome === 'changed');
}
