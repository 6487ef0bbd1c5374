/** Asks API servers all the time, and tells for how long one of them, and all of them at once, did not answer. */
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

/** Health is told to everybody; who answers need not prove it. */
function isReady(address: string): Promise<boolean> {
  return new Promise((settle) => {
    const question = request(
      { host: address, port: 6443, path: '/readyz', rejectUnauthorized: false, agent: false, timeout: 1_000 },
      (answer) => {
        answer.resume();
        answer.on('end', () => settle(answer.statusCode === 200));
        answer.on('error', () => settle(false));
      },
    );
    question.on('timeout', () => question.destroy());
    question.on('error', () => settle(false));
    question.end();
  });
}

/** The longest time between two answers, in seconds. */
function longestGap(answers: readonly number[]): number {
  let gap = 0;
  for (const [index, time] of answers.entries()) if (index) gap = Math.max(gap, time - answers[index - 1]!);
  return gap / 1000;
}

export interface Gaps {
  /** Of each server. */
  each: number[];
  /** When none answered. */
  all: number;
}

/** @returns what ends it */
export function watchServers(addresses: readonly string[]): () => Promise<Gaps> {
  let going = true;
  const answers = addresses.map((): number[] => []);
  const loops = addresses.map(async (address, index) => {
    while (going) {
      if (await isReady(address)) answers[index]!.push(performance.now());
      await delay(100);
    }
  });
  return async () => {
    going = false;
    await Promise.all(loops);
    return { each: answers.map(longestGap), all: longestGap(answers.flat().sort((a, b) => a - b)) };
  };
}
