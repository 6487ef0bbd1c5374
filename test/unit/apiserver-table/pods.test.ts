import { describe, expect, it } from 'vitest';
import { toTable } from '../../../src/components/apiserver/table/table.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const now = new Date('2024-05-10T12:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000).toISOString();
const descriptor = { group: '', version: 'v1', kind: 'Pod' };

interface Given {
  phase?: string;
  reason?: string;
  deleted?: boolean;
  containers?: object[];
  init?: object[];
  sidecars?: string[];
  conditions?: object[];
  inits?: string[];
}

function row({
  phase = 'Running',
  reason,
  deleted,
  containers = [],
  init = [],
  inits = [],
  sidecars = [],
  conditions = [],
}: Given) {
  const names = (list: object[]) => list.map((_, index) => ({ name: `c${index}` }));
  const pod = {
    metadata: { name: 'web', creationTimestamp: ago(90), ...(deleted ? { deletionTimestamp: ago(1) } : {}) },
    spec: {
      containers: names(containers.length ? containers : [{}]),
      initContainers: [
        ...inits.map((name) => ({ name })),
        ...sidecars.map((name) => ({ name, restartPolicy: 'Always' })),
      ],
    },
    status: {
      phase,
      reason,
      conditions,
      initContainerStatuses: init.map((status, index) => ({ name: [...inits, ...sidecars][index], ...status })),
      containerStatuses: containers.map((status, index) => ({ name: `c${index}`, ...status })),
    },
  };
  return toTable(descriptor, [pod as unknown as UnknownObject], { now }).rows[0]!;
}

const running = { ready: true, state: { running: {} } };
const waiting = (reason: string, more = {}) => ({ state: { waiting: { reason } }, ...more });
const ended = (terminated: object, more = {}) => ({ state: { terminated }, ...more });
const initialized = [{ type: 'Initialized', status: 'True' }];

describe('the row of a pod', () => {
  it.each<[string, Given, [ready: string, status: string, restarts: string]]>([
    ['runs', { containers: [running, running] }, ['2/2', 'Running', '0']],
    ['waits for a node', { phase: 'Pending' }, ['0/1', 'Pending', '0']],
    [
      'waits for its gates',
      { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
      ['0/1', 'SchedulingGated', '0'],
    ],
    ['was evicted', { phase: 'Failed', reason: 'Evicted' }, ['0/1', 'Evicted', '0']],
    ['cannot pull', { phase: 'Pending', containers: [waiting('ImagePullBackOff')] }, ['0/1', 'ImagePullBackOff', '0']],
    [
      'crashes again and again',
      {
        containers: [
          waiting('CrashLoopBackOff', { restartCount: 4, lastState: { terminated: { finishedAt: ago(5) } } }),
          { ...running, restartCount: 1, lastState: { terminated: { finishedAt: ago(8) } } },
        ],
      },
      ['1/2', 'CrashLoopBackOff', '5 (5m ago)'],
    ],
    [
      'has ended',
      { phase: 'Succeeded', containers: [ended({ reason: 'Completed', exitCode: 0 })] },
      ['0/1', 'Completed', '0'],
    ],
    ['failed without a reason', { phase: 'Failed', containers: [ended({ exitCode: 3 })] }, ['0/1', 'ExitCode:3', '0']],
    ['was killed', { phase: 'Failed', containers: [ended({ exitCode: 137, signal: 9 })] }, ['0/1', 'Signal:9', '0']],
    [
      'has a container that ended and a ready one',
      {
        containers: [ended({ reason: 'Completed', exitCode: 0 }), running],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
      ['1/2', 'Running', '0'],
    ],
    [
      'has a container that ended and is not ready',
      { containers: [ended({ reason: 'Completed', exitCode: 0 }), running] },
      ['1/2', 'NotReady', '0'],
    ],
    [
      'is in its second init container',
      {
        phase: 'Pending',
        inits: ['a', 'b'],
        init: [ended({ exitCode: 0 }), { state: { running: {} } }],
        containers: [waiting('PodInitializing')],
      },
      ['0/1', 'Init:1/2', '0'],
    ],
    [
      'fails in its init container',
      {
        phase: 'Pending',
        inits: ['a'],
        init: [waiting('CrashLoopBackOff', { restartCount: 2, lastState: { terminated: { finishedAt: ago(3) } } })],
        containers: [waiting('PodInitializing')],
      },
      ['0/1', 'Init:CrashLoopBackOff', '2 (3m ago)'],
    ],
    [
      'has an init container that ended badly',
      { phase: 'Pending', inits: ['a'], init: [ended({ exitCode: 1, reason: 'Error' })] },
      ['0/1', 'Init:Error', '0'],
    ],
    [
      'has a sidecar, whose restarts count',
      {
        sidecars: ['s'],
        init: [{ ...running, started: true, restartCount: 3 }],
        containers: [running],
        conditions: initialized,
      },
      ['2/2', 'Running', '3'],
    ],
    [
      'forgets restarts of init containers that are done',
      {
        inits: ['a'],
        init: [ended({ exitCode: 0 }, { restartCount: 3 })],
        containers: [running],
        conditions: initialized,
      },
      ['1/1', 'Running', '0'],
    ],
    ['is being deleted', { containers: [running], deleted: true }, ['1/1', 'Terminating', '0']],
    ['has ended and is being deleted', { phase: 'Succeeded', deleted: true }, ['0/1', 'Succeeded', '0']],
    ['is lost with its node', { reason: 'NodeLost', deleted: true }, ['0/1', 'Unknown', '0']],
  ])('that %s', (_what, given, cells) => {
    expect(row(given).cells.slice(1, 4)).toEqual(cells);
  });

  it('marks pods that have run to their end', () => {
    expect(row({ phase: 'Succeeded' }).conditions).toEqual([
      { type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' },
    ]);
    expect(row({}).conditions).toBeUndefined();
  });
});
