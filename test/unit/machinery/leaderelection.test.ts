import { expect, test } from 'vitest';
import { heldByOther, observe, releasedLease, takenLease } from '../../../src/machinery/leaderelection/record.ts';

const me = { identity: 'me', leaseDurationMs: 15_000 };
const now = new Date('2026-01-01T00:00:00.000Z');

test('a lease is taken over only after its duration has passed unchanged by the own clock', () => {
  const lease = { spec: { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime: 'a' } };
  const seen = observe(undefined, lease, 1000);
  expect(heldByOther(lease, seen, me, 15_999)).toBe(true);
  expect(heldByOther(lease, seen, me, 16_000)).toBe(false);
  const renewed = { spec: { ...lease.spec, renewTime: 'b' } };
  const later = observe(seen, renewed, 14_000);
  expect(heldByOther(renewed, later, me, 16_000)).toBe(true);
  expect(observe(later, renewed, 20_000)).toBe(later);
});

test('taking over counts a transition, renewing does not and keeps the time of taking', () => {
  const taken = takenLease({ spec: { holderIdentity: 'other', leaseTransitions: 3, acquireTime: 'then' } }, me, now);
  expect(taken).toEqual({
    holderIdentity: 'me',
    leaseDurationSeconds: 15,
    acquireTime: '2026-01-01T00:00:00.000000Z',
    renewTime: '2026-01-01T00:00:00.000000Z',
    leaseTransitions: 4,
  });
  const renewed = takenLease({ spec: { ...taken, acquireTime: 'then' } }, me, now);
  expect(renewed).toMatchObject({ leaseTransitions: 4, acquireTime: 'then' });
});

test('a released lease is free at once', () => {
  const spec = releasedLease({ spec: { holderIdentity: 'me', leaseTransitions: 1 } }, now);
  expect(spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 1 });
  expect(heldByOther({ spec }, { record: '', atMs: 0 }, me, 1)).toBe(false);
});
