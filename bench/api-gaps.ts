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

export interface Gap {
  seconds: number;
  /** The last answer before it, in milliseconds since 1970. */
  since: number;
}

/** The longest time between two answers. */
function longestGap(answers: readonly number[]): Gap {
  let longest: Gap = { seconds: 0, since: 0 };
  for (const [index, time] of answers.entries()) {
    const since = answers[index - 1] ?? time;
    if (time - since > longest.seconds * 1000) longest = { seconds: (time - since) / 1000, since };
  }
  return longest;
}

export interface Gaps {
  /** Of each server. */
  each: Gap[];
  /** When none answered. */
  all: Gap;
}

/** @returns what ends it */
export function watchServers(addresses: readonly string[]): () => Promise<Gaps> {
  let going = true;
  const answers = addresses.map((): number[] => []);
  const loops = addresses.map(async (address, index) => {
    while (going) {
      if (await isReady(address)) answers[index]!.push(Date.now());
      await delay(100);
    }
  });
  return async () => {
    going = false;
    await Promise.all(loops);
    return { each: answers.map(longestGap), all: longestGap(answers.flat().sort((a, b) => a - b)) };
  };
}
