/** What a thrown value becomes for the user. */
import { expect, it } from 'vitest';
import { asKinitError, KinitError } from '../../../src/installer/errors.ts';
import { ApiError } from '../../../src/machinery/client/errors.ts';

const coded = (message: string, code: string, options?: ErrorOptions) =>
  Object.assign(new Error(message, options), { code });

it.each([
  ['by its words', new Error('connect ECONNREFUSED 10.0.0.1:6443')],
  ['by its code alone', coded('socket hang up', 'ECONNRESET')],
  ['by what caused it', new Error('fetch failed', { cause: coded('read', 'ETIMEDOUT') })],
  ['as a string', 'EHOSTUNREACH 10.0.0.1'],
])('a connection that failed, known %s, comes with what to do', (_how, thrown) => {
  const error = asKinitError(thrown);
  expect(error.exitCode).toBe(4);
  expect(error.details.advice).toMatch(/run the same command again/);
});

it('anything else has no advice that it did not bring', () => {
  expect(asKinitError(new Error('no such field')).details.advice).toBeUndefined();
  expect(asKinitError(coded('gone', 'ECONNRESET'), { advice: 'call' }).details.advice).toBe('call');
});

it.each([
  [503, /run the same command again/],
  [429, /run the same command again/],
  [403, undefined],
] as const)('an API server that answers %i is told as one', (code, advice) => {
  const error = asKinitError(new ApiError({ code, message: 'it says no' }));
  expect(error).toMatchObject({ code: 'Api', exitCode: 9, message: 'it says no' });
  if (advice) expect(error.details.advice).toMatch(advice);
  else expect(error.details.advice).toBeUndefined();
});

it('several addresses tried in vain are all named', () => {
  const errors = [
    coded('connect ECONNREFUSED ::1:1', 'ECONNREFUSED'),
    coded('connect ETIMEDOUT 1.1.1.1:1', 'ETIMEDOUT'),
  ];
  const { message, details } = asKinitError(Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' }));
  expect(message).toBe('connect ECONNREFUSED ::1:1; connect ETIMEDOUT 1.1.1.1:1');
  expect(details.advice).toMatch(/again/);
});

it('an error of ours keeps what it says, and gets the rest', () => {
  const error = new KinitError('Api', 'no', { host: 'a' });
  expect(asKinitError(error, { host: 'b', phase: 'certs' })).toBe(error);
  expect(error.details).toEqual({ host: 'a', phase: 'certs' });
});
