import { describe, expect, it } from 'vitest';
import type { EventRegistration } from '../../../src/components/scheduler/framework/events.ts';
import { podInfoOf } from '../../../src/components/scheduler/framework/pod-info.ts';
import { before } from '../../../src/components/scheduler/plugins/priority-sort/priority-sort.ts';
import { gatesOf } from '../../../src/components/scheduler/plugins/scheduling-gates/scheduling-gates.ts';
import { SchedulingQueue, type WaitingPod } from '../../../src/components/scheduler/queue/queue.ts';
import { node, pod } from './objects.ts';

const registrations = new Map<string, EventRegistration[]>([
  ['Fit', [{ resource: 'AssignedPod', actions: ['Delete'] }]],
  [
    'Taint',
    [{ resource: 'Node', actions: ['UpdateNodeTaint'], hint: (_pod, { newObject }) => newObject !== undefined }],
  ],
]);

function setUp() {
  let time = 0;
  const queue = new SchedulingQueue({
    less: before,
    preEnqueue: ({ pod: each }) => gatesOf(each),
    registrations,
    now: () => time,
  });
  return { queue, pass: (ms: number) => (time += ms) };
}
const refusedBy = (...names: string[]) => ({ rejectedBy: new Set(names), pendingFor: new Set<string>(), erred: false });
const failed = { rejectedBy: new Set<string>(), pendingFor: new Set<string>(), erred: true };
const names = (queue: SchedulingQueue): string[] => {
  const found: string[] = [];
  for (let next = queue.take(); next; next = queue.take()) found.push(next.info.pod.metadata?.name ?? '');
  return found;
};

describe('the scheduling queue', () => {
  it('gives pods of higher priority first, among equals the older', () => {
    const { queue, pass } = setUp();
    for (const [name, priority] of [
      ['a', 0],
      ['b', 5],
      ['c', 0],
      ['d', 5],
    ] as const) {
      queue.add(podInfoOf(pod(name, { priority })));
      pass(1);
    }
    expect(names(queue)).toEqual(['b', 'd', 'a', 'c']);
  });

  it('lets a refused pod wait until an event that its plugin asked for', () => {
    const { queue } = setUp();
    queue.add(podInfoOf(pod('a')));
    queue.reject(queue.take() as WaitingPod, refusedBy('Fit'));
    queue.notice({ resource: 'Node', actions: ['UpdateNodeTaint'], newObject: node('w1') });
    expect(names(queue)).toEqual([]);
    queue.notice({ resource: 'AssignedPod', actions: ['Delete'] });
    expect(names(queue)).toEqual(['a']);
  });

  it('does not miss an event that came while the pod was being tried', () => {
    const { queue } = setUp();
    queue.add(podInfoOf(pod('a')));
    const trying = queue.take() as WaitingPod;
    queue.notice({ resource: 'AssignedPod', actions: ['Delete'] });
    queue.reject(trying, refusedBy('Fit'));
    expect(names(queue)).toEqual(['a']);
  });

  it('backs off after errors: 1 s, doubling up to 10 s', () => {
    const { queue, pass } = setUp();
    queue.add(podInfoOf(pod('a')));
    for (const seconds of [1, 2, 4, 8, 10, 10]) {
      queue.reject(queue.take() as WaitingPod, failed);
      pass(seconds * 1000 - 1);
      expect(queue.sizes.backoff).toBe(1);
      queue.flush();
      expect(queue.sizes.active).toBe(0);
      pass(1);
      queue.flush();
      expect(queue.sizes.active).toBe(1);
    }
  });

  it('tries an unschedulable pod again after five minutes without any event', () => {
    const { queue, pass } = setUp();
    queue.add(podInfoOf(pod('a')));
    queue.reject(queue.take() as WaitingPod, refusedBy('Fit'));
    pass(5 * 60_000 - 1);
    expect(names(queue)).toEqual([]);
    pass(1);
    expect(names(queue)).toEqual(['a']);
  });

  it('holds gated pods back until the last gate is gone', () => {
    const { queue, pass } = setUp();
    const gated = pod('a', { spec: { schedulingGates: [{ name: 'example.com/wait' }] } });
    queue.add(podInfoOf(gated));
    pass(10 * 60_000);
    queue.notice({ resource: 'Node', actions: ['Add'] });
    expect(names(queue)).toEqual([]);
    const opened = pod('a');
    queue.update(podInfoOf(opened), {
      resource: 'UnscheduledPod',
      actions: ['UpdatePodSchedulingGatesEliminated'],
      oldObject: gated,
      newObject: opened,
    });
    expect(names(queue)).toEqual(['a']);
  });

  it('forgets pods that were deleted, also while they were being tried', () => {
    const { queue } = setUp();
    const [a, b] = [podInfoOf(pod('a')), podInfoOf(pod('b'))];
    queue.add(a);
    const trying = queue.take() as WaitingPod;
    queue.add(b);
    queue.remove(a);
    queue.remove(b);
    queue.reject(trying, failed);
    expect(queue.sizes).toEqual({ active: 0, backoff: 0, unschedulable: 0, gated: 0 });
  });

  it('wakes whoever waits for a pod, and ends with the signal', async () => {
    const { queue } = setUp();
    const stop = new AbortController();
    const waiting = queue.pop(stop.signal);
    queue.add(podInfoOf(pod('a')));
    expect((await waiting)?.info.key).toBe('default/a');
    const ended = queue.pop(stop.signal);
    stop.abort();
    expect(await ended).toBeUndefined();
  });
});
