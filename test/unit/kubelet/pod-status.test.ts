import { describe, expect, it } from 'vitest';
import { podPrinter } from '../../../src/components/apiserver/table/kinds/pods.ts';
import type { ObservedPod } from '../../../src/components/kubelet/pods/observed.ts';
import { podStatus } from '../../../src/components/kubelet/status/compute.ts';
import { statusPatch } from '../../../src/components/kubelet/status/patch.ts';
import type { Pod, PodStatus } from '../../../src/machinery/api/types.ts';
import { instance, observed, pod, sandbox } from './fixtures.ts';

const main = { name: 'main', image: 'x:1' };
const init = { name: 'first', image: 'x:1' };
const now = new Date('2026-01-02T00:00:00Z');

const compute = (subject: Pod, seen: ObservedPod, more: Partial<Parameters<typeof podStatus>[0]> = {}): PodStatus =>
  podStatus({
    pod: subject,
    observed: seen,
    previous: undefined,
    waiting: new Map(),
    probeResult: () => undefined,
    hostIps: ['192.0.2.1'],
    terminal: false,
    runtimeName: 'containerd',
    now,
    ...more,
  });
const conditionsOf = (status: PodStatus) =>
  Object.fromEntries(
    (status.conditions ?? []).map(({ type, status: value, reason }) => [type, reason ? `${value} ${reason}` : value]),
  );

/** What `kubectl get pods` shows an hour after `now`. */
const restartsOf = (status: PodStatus) => {
  const subject: Pod = { ...pod(), status };
  return podPrinter.cells(subject, now.getTime() + 3_600_000)[3];
};

describe('the phase of a pod', () => {
  const never = { restartPolicy: 'Never' };
  const cases: [string, Pod, ObservedPod, string, Partial<Parameters<typeof podStatus>[0]>?][] = [
    ['nothing there yet', pod(), observed([], []), 'Pending'],
    ['running', pod(), observed([sandbox()], [instance(main, 'running')]), 'Running'],
    ['ended well, never restarted', pod(never), observed([], [instance(main, 0)]), 'Succeeded'],
    ['failed, never restarted', pod(never), observed([], [instance(main, 1)]), 'Failed'],
    ['failed, to be restarted', pod(), observed([], [instance(main, 1)]), 'Running'],
    [
      'ended well, always restarted, but deleted',
      pod(),
      observed([], [instance(main, 0)]),
      'Succeeded',
      { terminal: true },
    ],
    ['killed and deleted', pod(), observed([], [instance(main, 137)]), 'Failed', { terminal: true }],
    [
      'init container runs',
      pod({ initContainers: [init] }),
      observed([sandbox()], [instance(init, 'running')]),
      'Pending',
    ],
    [
      'init container failed for good',
      pod({ initContainers: [init], ...never }),
      observed([], [instance(init, 1)]),
      'Failed',
    ],
    [
      'init container failed, tried again',
      pod({ initContainers: [init] }),
      observed([], [instance(init, 1)]),
      'Pending',
    ],
    ['given up by the kubelet', pod(), observed([], []), 'Failed', { ended: { reason: 'Evicted', message: 'm' } }],
    ['ended once stays ended', pod(), observed([], []), 'Succeeded', { previous: { phase: 'Succeeded' } }],
  ];
  it.each(cases)('%s', (_title, subject, seen, phase, more) => {
    expect(compute(subject, seen, more).phase).toBe(phase);
  });
});

describe('the status of a pod', () => {
  it('goes on to say why the pod ended, also to a kubelet that was started afterwards', () => {
    const previous = { phase: 'Failed', reason: 'Terminated', message: 'the node shut down' };
    expect(compute(pod(), observed([], [instance(main, 137)]), { previous })).toMatchObject(previous);
    const running = { ...previous, phase: 'Running' };
    const status = compute(pod(), observed([sandbox()], [instance(main, 'running')]), { previous: running });
    expect(status.reason).toBeUndefined();
  });

  it('shows a running, ready pod with its addresses', () => {
    const status = compute(pod(), observed([sandbox()], [instance(main, 'running')]));
    expect(conditionsOf(status)).toEqual({
      PodReadyToStartContainers: 'True',
      Initialized: 'True',
      Ready: 'True',
      ContainersReady: 'True',
      PodScheduled: 'True',
    });
    expect(status).toMatchObject({
      hostIP: '192.0.2.1',
      podIP: '10.244.1.7',
      podIPs: [{ ip: '10.244.1.7' }],
      qosClass: 'BestEffort',
      startTime: '2026-01-02T00:00:00Z',
    });
    expect(status.containerStatuses?.[0]).toMatchObject({
      containerID: 'containerd://main-0',
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: '2026-01-01T00:00:01Z' } },
    });
  });

  it('is not ready before its readiness probe has succeeded', () => {
    const subject = pod({ containers: [{ ...main, readinessProbe: { tcpSocket: { port: 1 } } }] });
    const status = compute(subject, observed([sandbox()], [instance(main, 'running')]), {
      probeResult: (_id, kind) => (kind === 'readiness' ? 'failure' : undefined),
    });
    expect(conditionsOf(status)).toMatchObject({ Ready: 'False ContainersNotReady', Initialized: 'True' });
    expect(status.conditions?.find(({ type }) => type === 'Ready')?.message).toBe(
      'containers with unready status: [main]',
    );
  });

  it('waits with the reason of the last failure, and keeps how it ended before', () => {
    const status = compute(pod(), observed([sandbox()], [instance(main, 3, { attempt: 1 }), instance(main, 2)]), {
      waiting: new Map([['main', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]),
    });
    expect(status.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
      lastState: { terminated: { exitCode: 3 } },
    });
    expect(status.phase).toBe('Running');
  });

  it('says PodInitializing while init containers run, and ContainerCreating without any', () => {
    const waitingOf = (status: PodStatus) => status.containerStatuses?.[0]?.state?.waiting?.reason;
    expect(waitingOf(compute(pod({ initContainers: [init] }), observed([], [])))).toBe('PodInitializing');
    expect(waitingOf(compute(pod(), observed([], [])))).toBe('ContainerCreating');
  });

  it('keeps the time of a condition that did not change', () => {
    const before = compute(pod(), observed([sandbox()], [instance(main, 'running')]));
    const after = compute(pod(), observed([sandbox()], [instance(main, 'running')]), {
      previous: before,
      now: new Date('2026-01-03T00:00:00Z'),
    });
    expect(after).toEqual(before);
  });

  it('marks a container that the runtime forgot as lost, and counts a restart', () => {
    const before = compute(pod(), observed([sandbox()], [instance(main, 'running')]));
    const after = compute(pod(), observed([], []), { previous: before });
    expect(after.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { reason: 'ContainerStatusUnknown', exitCode: 137 } },
    });
    expect(restartsOf(after)).toBe('1');
  });

  it('says nothing of 1970 when a container never ran', () => {
    const never = { ...instance(main, 128), startedAt: 0, finishedAt: 0, reason: 'StartError' };
    const status = compute(pod(), observed([sandbox()], [instance(main, 'running', { attempt: 1 }), never]));
    expect(status.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ reason: 'StartError', exitCode: 128 });
    expect(restartsOf(status)).toBe('1');
    const known = { ...never, finishedAt: Date.parse('2026-01-02T00:00:00Z') * 1e6 };
    const later = compute(pod(), observed([sandbox()], [instance(main, 'running', { attempt: 1 }), known]));
    expect(restartsOf(later)).toBe('1 (60m ago)');
  });

  it('holds readiness gates of others against it', () => {
    const status = compute(
      pod({ readinessGates: [{ conditionType: 'a/b' }] }),
      observed([sandbox()], [instance(main, 'running')]),
    );
    expect(conditionsOf(status)).toMatchObject({ Ready: 'False ReadinessGatesNotReady', ContainersReady: 'True' });
  });
});

describe('the patch of a status', () => {
  const status = compute(pod(), observed([sandbox()], [instance(main, 'running')]));
  it('is none when nothing differs', () => {
    expect(statusPatch({ ...pod(), status }, status)).toBeUndefined();
  });
  it('leaves conditions of others alone', () => {
    const other = { type: 'a/b', status: 'True' };
    const patch = statusPatch({ ...pod(), status: { conditions: [other] } }, status);
    expect(patch?.['conditions']).not.toContainEqual(expect.objectContaining({ type: 'a/b' }));
    expect(patch?.['$setElementOrder/conditions']).toContainEqual({ type: 'a/b' });
  });
  it('removes fields of a condition that are gone', () => {
    const conditions = status.conditions?.map((condition) =>
      condition.type === 'Ready'
        ? { ...condition, status: 'False', reason: 'ContainersNotReady', message: 'm' }
        : condition,
    );
    const patch = statusPatch({ ...pod(), status: { ...status, ...(conditions ? { conditions } : {}) } }, status);
    expect(patch?.['conditions']).toEqual([
      expect.objectContaining({ type: 'Ready', status: 'True', reason: null, message: null }),
    ]);
  });
});
