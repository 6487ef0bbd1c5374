/** How often the health paths ask etcd, and what they say meanwhile. */
import { expect, test } from 'vitest';
import { sparingly } from '../../../src/components/apiserver/server/etcd-check.ts';

/** A check by a clock that stands still, and its questions, which are answered by hand. */
function checkByHand() {
  let time = 0;
  const questions: PromiseWithResolvers<void>[] = [];
  const check = sparingly(
    () => {
      const question = Promise.withResolvers<void>();
      questions.push(question);
      return question.promise;
    },
    () => time,
  );
  const pass = (ms: number) => {
    time += ms;
  };
  return { check, questions, pass };
}

test('those who ask before the first answer wait for it, and share it', async () => {
  const { check, questions } = checkByHand();
  const answers = [check(), check()];
  questions[0]!.reject(new Error('no leader'));
  expect(await Promise.all(answers)).toEqual(['no leader', 'no leader']);
  expect(questions).toHaveLength(1);
});

test('an etcd that is well is asked again a second after the last question, not before', async () => {
  const { check, questions, pass } = checkByHand();
  const first = check();
  questions[0]!.resolve();
  expect(await first).toBeUndefined();
  pass(999);
  expect(check()).toBeUndefined();
  expect(questions).toHaveLength(1);
  pass(1);
  const second = check();
  expect(questions).toHaveLength(2);
  questions[1]!.resolve();
  expect(await second).toBeUndefined();
});

test('an etcd that is not well is asked again at once', async () => {
  const { check, questions } = checkByHand();
  const first = check();
  questions[0]!.reject(new Error('deadline exceeded'));
  expect(await first).toBe('deadline exceeded');
  const second = check();
  expect(check()).toBe('deadline exceeded');
  questions[1]!.resolve();
  expect(await second).toBeUndefined();
  expect(check()).toBeUndefined();
  expect(questions).toHaveLength(2);
});

test('while a question waits for an answer, others are told the last one at once, and none is asked beside it', async () => {
  const { check, questions, pass } = checkByHand();
  const first = check();
  questions[0]!.resolve();
  await first;
  pass(1_000);
  const waiting = check();
  pass(5_000);
  expect(check()).toBeUndefined();
  expect(questions).toHaveLength(2);
  questions[1]!.reject(new Error('deadline exceeded'));
  expect(await waiting).toBe('deadline exceeded');
});
