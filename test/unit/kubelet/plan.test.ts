import { describe, expect, it } from 'vitest';
import type { ObservedPod } from '../../../src/components/kubelet/pods/observed.ts';
import { planPod } from '../../../src/components/kubelet/pods/plan.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { instance, observed, pod, sandbox } from './fixtures.ts';

const main = { name: 'main', image: 'x:1' };
const first = { name: 'first', image: 'x:1' };
const second = { name: 'second', image: 'x:1' };
const side = { name: 'side', image: 'x:1', restartPolicy: 'Always' };
const probed = { ...side, startupProbe: { exec: { command: ['true'] } } };

const plan = (subject: Pod, seen: ObservedPod, results: Record<string, 'success' | 'failure'> = {}) => {
  const { newSandbox, start, kill, discard } = planPod({
    pod: subject,
    observed: seen,
    probeResult: (id, kind) => results[`${id} ${kind}`],
  });
  return {
    sandbox: newSandbox?.attempt,
    start: start.map(({ name }) => name),
    kill: kill.map(({ message }) => message),
    discard: discard.map(({ id }) => id),
  };
};
const none = { sandbox: undefined, start: [], kill: [], discard: [] };

describe('what is done for a pod', () => {
  const cases: [
    title: string,
    subject: Pod,
    seen: ObservedPod,
    expected: object,
    results?: Record<string, 'success' | 'failure'>,
  ][] = [
    ['a new pod gets a sandbox and its containers', pod(), observed([], []), { ...none, sandbox: 0, start: ['main'] }],
    [
      'a new pod with init containers starts only the first of them',
      pod({ initContainers: [first, second] }),
      observed([], []),
      { ...none, sandbox: 0, start: ['first'] },
    ],
    ['a running pod is left alone', pod(), observed([sandbox()], [instance(main, 'running')]), none],
    [
      'a container that ended is started again',
      pod(),
      observed([sandbox()], [instance(main, 1)]),
      { ...none, start: ['main'] },
    ],
    [
      'a container that ended well stays ended with OnFailure',
      pod({ restartPolicy: 'OnFailure' }),
      observed([sandbox()], [instance(main, 0)]),
      none,
    ],
    [
      'a container that failed stays ended with Never',
      pod({ restartPolicy: 'Never' }),
      observed([sandbox()], [instance(main, 1)]),
      none,
    ],
    [
      'a lost sandbox is made again, one attempt later',
      pod(),
      observed([sandbox('gone')], [instance(main, 137)]),
      { ...none, sandbox: 1, start: ['main'] },
    ],
    [
      'a lost sandbox of a pod that is over stays lost',
      pod({ restartPolicy: 'Never' }),
      observed([sandbox('gone')], [instance(main, 0)]),
      none,
    ],
    [
      'the second init container follows the first',
      pod({ initContainers: [first, second] }),
      observed([sandbox()], [instance(first, 0)]),
      { ...none, start: ['second'] },
    ],
    [
      'a failed init container is tried again',
      pod({ initContainers: [first] }),
      observed([sandbox()], [instance(first, 1)]),
      { ...none, start: ['first'] },
    ],
    [
      'a failed init container ends a pod that is never restarted',
      pod({ initContainers: [first], restartPolicy: 'Never' }),
      observed([sandbox()], [instance(first, 1)]),
      none,
    ],
    [
      'a sidecar runs before the containers start',
      pod({ initContainers: [side] }),
      observed([sandbox()], [instance(side, 'running')]),
      { ...none, start: ['main'] },
    ],
    [
      'a sidecar with a startup probe holds the rest back until it has started',
      pod({ initContainers: [probed] }),
      observed([sandbox()], [instance(probed, 'running')]),
      none,
    ],
    [
      'a sidecar that has started lets the rest go on',
      pod({ initContainers: [probed] }),
      observed([sandbox()], [instance(probed, 'running')]),
      { ...none, start: ['main'] },
      { 'side-0 startup': 'success' },
    ],
    [
      'a sidecar that ended is started beside running containers',
      pod({ initContainers: [side] }),
      observed([sandbox()], [instance(side, 0), instance(main, 'running')]),
      { ...none, start: ['side'] },
    ],
    [
      'another image replaces a running container',
      pod({ containers: [{ name: 'main', image: 'x:2' }] }),
      observed([sandbox()], [instance(main, 'running')]),
      { ...none, start: ['main'], kill: ['Container main definition changed, will be restarted'] },
    ],
    [
      'a failed liveness probe replaces the container',
      pod(),
      observed([sandbox()], [instance(main, 'running')]),
      { ...none, start: ['main'], kill: ['Container main failed liveness probe, will be restarted'] },
      { 'main-0 liveness': 'failure' },
    ],
    [
      'a failed startup probe ends a container that is never restarted',
      pod({ restartPolicy: 'Never' }),
      observed([sandbox()], [instance(main, 'running')]),
      { ...none, kill: ['Container main failed startup probe'] },
      { 'main-0 startup': 'failure' },
    ],
    [
      'containers that another kubelet made without a hash are adopted',
      pod(),
      observed([sandbox()], [{ ...instance(main, 'running'), hash: undefined }]),
      none,
    ],
    [
      'two ready sandboxes are both given up',
      pod(),
      observed([sandbox('ready', 1), sandbox('ready', 0)], [instance(main, 'running')]),
      { ...none, sandbox: 2, start: ['main'], discard: ['s1', 's0'] },
    ],
  ];
  it('is over when only sidecars are left', () => {
    const subject = pod({ initContainers: [side], restartPolicy: 'Never' });
    const seen = observed([sandbox()], [instance(side, 'running'), instance(main, 0)]);
    expect(planPod({ pod: subject, observed: seen, probeResult: () => undefined }).complete).toBe(true);
  });
  it.each(cases)('%s', (_title, subject, seen, expected, results) => {
    expect(plan(subject, seen, results)).toEqual(expected);
  });
});
