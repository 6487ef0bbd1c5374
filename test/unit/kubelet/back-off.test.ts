import { describe, expect, it } from 'vitest';
import { createBackOff } from '../../../src/components/kubelet/pods/back-off.ts';

describe('the back-off of a container', () => {
  it('lets the first failure pass, then doubles up to its limit', () => {
    const backOff = createBackOff(10_000, 30_000);
    const now = Date.now();
    expect(backOff.remaining('a', now, now)).toBe(0);
    const delays = [1, 2, 3, 4].map(() => {
      backOff.next('a', now);
      return backOff.remaining('a', now, now);
    });
    expect(delays).toEqual([10_000, 20_000, 30_000, 30_000]);
    expect(backOff.remaining('b', now, now)).toBe(0);
  });
  it('counts from when the failure was', () => {
    const backOff = createBackOff(10_000, 30_000);
    const now = Date.now();
    backOff.next('a', now);
    expect(backOff.remaining('a', now - 4000, now)).toBe(6000);
    expect(backOff.remaining('a', now - 11_000, now)).toBe(0);
  });
  it('begins again after a long time without failures', () => {
    const backOff = createBackOff(10_000, 30_000);
    const now = Date.now();
    backOff.next('a', now);
    backOff.next('a', now);
    const later = now + 61_000;
    expect(backOff.remaining('a', later, later)).toBe(0);
    backOff.next('a', later);
    expect(backOff.delay('a')).toBe(10_000);
  });
});
