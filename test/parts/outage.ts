/** Asks something over and over beside a test, and tells for how long there was no answer. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Outage {
  answers: number;
  failures: number;
  /** The longest time between two answers: the pause between two questions is in it, and one that took long to be answered as well. */
  longestMs: number;
  /** What went wrong, each once. */
  errors: string[];
}

export interface Observer {
  /** What was seen since the beginning, or since the last call. */
  seen(): Outage;
  /** Waits until so many answers have come from now on. @throws Error when they do not in time */
  answers(count: number, timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** @param ask has to end by itself, in some seconds at most */
export function observe(ask: () => Promise<unknown>, pauseMs = 100): Observer {
  const none = (): Outage => ({ answers: 0, failures: 0, longestMs: 0, errors: [] });
  let outage = none();
  let total = 0;
  let last = Date.now();
  let ended = false;
  const measure = () => {
    outage.longestMs = Math.max(outage.longestMs, Date.now() - last);
  };
  const run = async () => {
    while (!ended) {
      try {
        await ask();
        measure();
        last = Date.now();
        outage.answers++;
        total++;
      } catch (error) {
        outage.failures++;
        const { message } = error as Error;
        if (!outage.errors.includes(message)) outage.errors.push(message);
      }
      await delay(pauseMs);
    }
  };
  const running = run();
  return {
    seen: () => {
      measure();
      const { answers, failures, longestMs, errors } = outage;
      outage = none();
      return { answers, failures, longestMs, errors };
    },
    answers: async (count, timeoutMs) => {
      const before = total;
      for (const deadline = Date.now() + timeoutMs; total - before < count; await delay(pauseMs))
        if (Date.now() > deadline)
          throw new Error(`${total - before} of ${count} answers in ${timeoutMs} ms: ${outage.errors.join('; ')}`);
    },
    stop: async () => {
      ended = true;
      await running;
    },
  };
}
