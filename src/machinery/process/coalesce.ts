/** Runs a piece of work after changes: soon, not too often, never twice at once, again after a failure. */

export interface CoalesceOptions {
  /** At least this long between two runs, in milliseconds. */
  minIntervalMs: number;
  /** Also without a change, this often; 0 for never. */
  periodMs: number;
  onError(error: Error): void;
  signal: AbortSignal;
}

/** Answers a function that asks for a run. */
export function coalesce(
  work: () => Promise<void>,
  { minIntervalMs, periodMs, onError, signal }: CoalesceOptions,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let asked = false;
  let lastEnd = 0;
  const schedule = (delayMs: number) => {
    if (signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(start, delayMs);
  };
  const start = async () => {
    if (running || signal.aborted) return;
    running = true;
    asked = false;
    let failed = false;
    try {
      await work();
    } catch (error) {
      failed = true;
      onError(error as Error);
    }
    running = false;
    lastEnd = Date.now();
    if (asked || failed) schedule(failed ? Math.max(minIntervalMs, 1000) : minIntervalMs);
    else if (periodMs) schedule(periodMs);
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return () => {
    asked = true;
    if (!running) schedule(Math.max(0, lastEnd + minIntervalMs - Date.now()));
  };
}
