/** Which steps a run makes, with what runs before it have done. */
import { describe, expect, it } from 'vitest';
import { parseRecord, planSteps, type Request, type RotationRecord } from '../../../src/installer/rotation/record.ts';

const record = (step: RotationRecord['step'], done: boolean): RotationRecord => ({
  names: ['ca', 'sa'],
  step,
  done,
  started: '2026-11-21T14:00:00.000Z',
});

describe('planning a rotation', () => {
  it.each<[string, RotationRecord | undefined, Request, string[]]>([
    ['all steps of a new one', undefined, {}, ['trust', 'issue', 'finish']],
    ['the first step alone', undefined, { step: 'trust' }, ['trust']],
    ['a step that was broken off, and the rest', record('trust', false), {}, ['trust', 'issue', 'finish']],
    ['what is left after a step', record('trust', true), {}, ['issue', 'finish']],
    ['the next step alone', record('issue', true), { step: 'finish' }, ['finish']],
    ['a step again that is done', record('issue', true), { step: 'issue' }, ['issue']],
    ['what is under way, named in another order', record('issue', false), { names: ['sa', 'ca'] }, ['issue', 'finish']],
  ])('makes %s', (_what, before, request, steps) => {
    const plan = planSteps(before, request);
    expect(plan.steps).toEqual(steps);
    if (before) expect(plan.names).toEqual(before.names);
  });

  it.each<[string, RotationRecord | undefined, Request, RegExp]>([
    ['a later step without a beginning', undefined, { step: 'issue' }, /no rotation under way/],
    ['a step too far', record('trust', true), { step: 'finish' }, /finish is not the next one/],
    ['a step behind one that is not through', record('trust', false), { step: 'issue' }, /issue is not the next one/],
    [
      'another authority in between',
      record('trust', true),
      { names: ['etcd-ca'] },
      /a rotation of ca, sa is under way/,
    ],
  ])('refuses %s', (_what, before, request, message) => {
    expect(() => planSteps(before, request)).toThrow(message);
  });
});

it.each(['', '{}', '{"names":["other"],"step":"trust","done":true,"started":""}'])('refuses the record %j', (text) => {
  expect(() => parseRecord(text)).toThrow(/rotation\.json cannot be read/);
});
