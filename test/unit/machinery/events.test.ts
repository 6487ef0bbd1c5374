import { expect, test } from 'vitest';
import { EventCorrelator, type OccurredEvent } from '../../../src/machinery/events/correlation.ts';

const event = (message: string, objectKey = 'Pod/a/b'): OccurredEvent => ({
  type: 'Normal',
  reason: 'Pulled',
  message,
  objectKey,
  source: 'kubelet/n1',
});

test('the same event again counts up the one that was created', () => {
  const correlator = new EventCorrelator();
  const first = correlator.correlate(event('x'), 0);
  if (first.action !== 'create') throw new Error(`expected create, got ${first.action}`);
  correlator.created(first.key, 'b.1', 0);
  expect(correlator.correlate(event('x'), 5)).toMatchObject({ action: 'count', count: 2, name: 'b.1' });
  expect(correlator.correlate(event('x'), 6)).toMatchObject({ action: 'count', count: 3, firstTimestampMs: 0 });
});

test('from the tenth similar event on they are combined', () => {
  const correlator = new EventCorrelator();
  const outcomes = Array.from({ length: 10 }, (_, i) => correlator.correlate(event(`message ${i}`), i));
  expect(outcomes[8]).toMatchObject({ action: 'create', message: 'message 8' });
  expect(outcomes[9]).toMatchObject({ action: 'create', message: '(combined from similar events): message 9' });
});

test('more than 25 events about one object are dropped, those about another are not', () => {
  const correlator = new EventCorrelator();
  const actions = Array.from({ length: 27 }, () => correlator.correlate(event('x'), 0).action);
  expect(actions.slice(25)).toEqual(['drop', 'drop']);
  expect(actions[24]).toBe('create');
  expect(correlator.correlate(event('x', 'Pod/a/c'), 0).action).toBe('create');
  expect(correlator.correlate(event('x'), 300_000).action).toBe('create');
});
