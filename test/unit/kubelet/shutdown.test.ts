import { describe, expect, it } from 'vitest';
import { podsByGroup, shutdownGroups, wholeSeconds } from '../../../src/components/kubelet/shutdown/groups.ts';
import { prepareSignals } from '../../../src/components/kubelet/shutdown/logind.ts';
import { pod } from './fixtures.ts';

const settings = (whole: number, critical: number, byPriority?: unknown) => ({
  shutdownGracePeriod: whole,
  shutdownGracePeriodCriticalPods: critical,
  shutdownGracePeriodByPodPriority: byPriority,
});

describe('groups of pods at a shutdown', () => {
  it('are none when no time is given', () => {
    expect(shutdownGroups(settings(0, 0))).toEqual([]);
  });
  it('are the ordinary pods and then the critical ones', () => {
    const groups = shutdownGroups(settings(30_000, 10_000));
    expect(groups).toEqual([
      { priority: 0, seconds: 20 },
      { priority: 2_000_000_000, seconds: 10 },
    ]);
    expect(wholeSeconds(groups)).toBe(30);
  });
  it('are those of the priorities that are named, lowest first', () => {
    const given = [
      { priority: 1000, shutdownGracePeriodSeconds: 5 },
      { priority: 0, shutdownGracePeriodSeconds: 60 },
    ];
    expect(shutdownGroups(settings(0, 0, given))).toEqual([
      { priority: 0, seconds: 60 },
      { priority: 1000, seconds: 5 },
    ]);
  });
  it.each([
    ['more time for some than for all', settings(1000, 2000), 'must be <= shutdownGracePeriod 1s'],
    ['less than a second', settings(500, 0), 'shutdownGracePeriod 0.5s must be either zero or otherwise >= 1 sec'],
    ['both kinds', settings(1000, 0, [{ priority: 0, shutdownGracePeriodSeconds: 1 }]), 'Cannot specify both'],
    ['a priority that is no number', settings(0, 0, [{ priority: 'high' }]), 'has {"priority":"high"}, not'],
  ])('are refused: %s', (_, given, message) => {
    expect(() => shutdownGroups(given)).toThrow(message);
  });

  const named = (name: string, priority?: number) => ({
    pod: pod(priority === undefined ? {} : { priority }, { name, uid: name }),
  });
  it('take pods by the highest of their priorities that a pod reaches; whoever reaches none ends first', () => {
    const groups = [
      { priority: 0, seconds: 1 },
      { priority: 100, seconds: 2 },
      { priority: 500, seconds: 3 },
    ];
    const items = [named('plain'), named('low', -5), named('high', 1_000_000), named('middle', 100)];
    const found = podsByGroup(groups, items).map(({ group, items: pods }) => [
      group.seconds,
      ...pods.map((each) => each.pod.metadata?.name),
    ]);
    expect(found).toEqual([
      [1, 'plain', 'low'],
      [2, 'middle'],
      [3, 'high'],
    ]);
    expect(podsByGroup(groups, [named('middle', 499)]).map(({ group }) => group.seconds)).toEqual([2]);
  });
});

describe('what busctl tells of a shutdown', () => {
  const told = (value: boolean) => `‣ Type=signal  Endian=l  Flags=1  Version=1  Priority=0 Cookie=93
  Sender=:1.1  Path=/org/freedesktop/login1  Interface=org.freedesktop.login1.Manager  Member=PrepareForShutdown
  UniqueName=:1.1
  MESSAGE "b" {
          BOOLEAN ${value};
  };

`;
  it('is read whole, in whatever pieces it comes', () => {
    const text = told(true) + told(false);
    for (let at = 0; at <= text.length; at += 7) {
      const first = prepareSignals(text.slice(0, at));
      const second = prepareSignals(first.rest + text.slice(at));
      expect([...first.signals, ...second.signals]).toEqual([true, false]);
    }
  });
});
