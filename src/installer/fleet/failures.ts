/** From failures on some hosts to one error that names each of them, and says what became of the others. */
import { asKinitError, describeError, KinitError } from '../errors.ts';

export interface HostFailure {
  host: string;
  error: KinitError;
}

/** @param others what happened to the hosts that did not fail */
export function fleetError(failures: readonly HostFailure[], others: string | undefined): KinitError {
  const [first] = failures;
  if (!first) throw new Error('no host failed');
  if (failures.length === 1) {
    const { error, host } = first;
    const advice = [error.details.advice, others].filter(Boolean).join('\n  others: ');
    return new KinitError(error.code, error.message, { ...error.details, host, ...(advice ? { advice } : {}) });
  }
  const seen = failures.map(({ host, error }) => {
    const named = new KinitError(error.code, error.message, { ...error.details, host });
    return describeError(named).replace(/^error \((?:host )?/, '(');
  });
  // Who stops a run has stopped it on all hosts, whatever each of them was in the middle of.
  const stopped = failures.some(({ error }) => error.code === 'Interrupted');
  return new KinitError(
    stopped ? 'Interrupted' : first.error.code,
    `${failures.length} hosts failed: ${failures.map(({ host }) => host).join(', ')}`,
    {
      seen: seen.join('\n'),
      ...(others ? { advice: others } : {}),
    },
  );
}

export interface Outcomes<T> {
  done: Map<string, T>;
  failures: HostFailure[];
}

/** Runs the work for all hosts, begun in their order, so many at once, each to its own end. */
export async function onAll<H extends { name: string }, T>(
  hosts: readonly H[],
  work: (host: H) => Promise<T>,
  failed: (failure: HostFailure) => void,
  parallel = hosts.length,
): Promise<Outcomes<T>> {
  const done = new Map<string, T>();
  const failures: HostFailure[] = [];
  const waiting = [...hosts];
  const worker = async () => {
    for (let host = waiting.shift(); host; host = waiting.shift()) {
      try {
        done.set(host.name, await work(host));
      } catch (thrown) {
        const failure = { host: host.name, error: asKinitError(thrown, { host: host.name }) };
        failures.push(failure);
        failed(failure);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, hosts.length) }, worker));
  return { done, failures };
}
