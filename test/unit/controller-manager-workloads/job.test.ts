import { expect, test } from 'vitest';
import { IndexSet } from '../../../src/components/controller-manager/workloads/job/indexes.ts';
import { jobTemplate, trackingFinalizer } from '../../../src/components/controller-manager/workloads/job/job-pods.ts';
import { completionEnding, observeJob } from '../../../src/components/controller-manager/workloads/job/observe.ts';
import { planJob } from '../../../src/components/controller-manager/workloads/job/plan.ts';
import {
  countedJobStatus,
  ensureCondition,
  notedStatus,
  podsToRelease,
} from '../../../src/components/controller-manager/workloads/job/status.ts';
import type { Job, Pod } from '../../../src/machinery/api/types.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
type Spec = NonNullable<Job['spec']>;
const job = (spec: Partial<Spec> = {}, status: Job['status'] = {}): Job => ({
  metadata: { name: 'j', namespace: 'default', uid: 'j' },
  spec: { backoffLimit: 6, template: { spec: { containers: [{ name: 'c' }], restartPolicy: 'Never' } }, ...spec },
  status,
});

interface Facts {
  index?: number;
  exitCode?: number;
  tracked?: boolean;
  deleting?: boolean;
  failures?: number;
  endedAt?: string;
}
function pod(
  name: string,
  phase: string,
  { index, exitCode, tracked = true, deleting, failures, endedAt }: Facts = {},
): Pod {
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      finalizers: tracked ? [trackingFinalizer] : [],
      annotations: {
        ...(index === undefined ? {} : { 'batch.kubernetes.io/job-completion-index': `${index}` }),
        ...(failures === undefined ? {} : { 'batch.kubernetes.io/job-index-failure-count': `${failures}` }),
      },
      ...(deleting ? { deletionTimestamp: '2026-01-01T11:59:00Z' } : {}),
    },
    status: {
      phase,
      containerStatuses: [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { terminated: { exitCode: exitCode ?? 0, finishedAt: endedAt ?? '2026-01-01T11:00:00Z' } },
        },
      ],
    },
  };
}

const none = new Set<string>();
const plan = (subject: Job, pods: Pod[]) => {
  const { create, remove, waitMs } = planJob(subject, observeJob(subject, pods, none, now), pods, now);
  return {
    create: create.map(({ index }) => index ?? '-'),
    remove: remove.map(({ metadata }) => metadata?.name),
    waitMs,
  };
};

test.each<[string, Partial<Spec>, Pod[], (number | string)[], string[]]>([
  ['as many as run in parallel', { parallelism: 2, completions: 5 }, [], ['-', '-'], []],
  ['no more than are left', { parallelism: 3, completions: 2 }, [pod('a', 'Succeeded')], ['-'], []],
  ['none when enough run', { parallelism: 1, completions: 2 }, [pod('a', 'Running')], [], []],
  ['a work queue no more after a success', { parallelism: 2 }, [pod('a', 'Succeeded'), pod('b', 'Running')], [], []],
  [
    'fewer when parallelism shrinks',
    { parallelism: 1, completions: 3 },
    [pod('a', 'Running'), pod('b', 'Pending')],
    [],
    ['b'],
  ],
  ['none when suspended', { parallelism: 1, completions: 1, suspend: true }, [pod('a', 'Running')], [], ['a']],
  [
    'the lowest free indexes',
    { completionMode: 'Indexed', parallelism: 2, completions: 4 },
    [pod('a', 'Succeeded', { index: 0 }), pod('b', 'Running', { index: 1 })],
    [2],
    [],
  ],
  [
    'no second pod of an index',
    { completionMode: 'Indexed', parallelism: 2, completions: 2 },
    [pod('a', 'Running', { index: 0 }), pod('b', 'Pending', { index: 0 })],
    [],
    ['b'],
  ],
  [
    'a replacement of a terminating pod at once',
    { parallelism: 1, completions: 1 },
    [pod('a', 'Running', { deleting: true })],
    ['-'],
    [],
  ],
  [
    'a replacement of a terminating pod when it ended',
    { parallelism: 1, completions: 1, podReplacementPolicy: 'Failed' },
    [pod('a', 'Running', { deleting: true })],
    [],
    [],
  ],
])('a Job makes %s', (_what, spec, pods, create, remove) => {
  expect(plan(job(spec), pods)).toMatchObject({ create, remove });
});

test('failures double the wait for the next pod', () => {
  const failed = (name: string) => pod(name, 'Failed', { exitCode: 1, endedAt: '2026-01-01T11:59:55Z' });
  const spec = { parallelism: 1, completions: 1 };
  expect(plan(job(spec), [failed('a')]).waitMs).toBe(5000);
  expect(plan(job(spec), [failed('a'), failed('b')]).waitMs).toBe(15_000);
});

test('with a limit per index the retry carries the count of failures', () => {
  const subject = job({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 1 });
  const pods = [
    pod('a', 'Failed', { index: 0, failures: 0, exitCode: 1 }),
    pod('b', 'Failed', { index: 1, failures: 1, exitCode: 1 }),
  ];
  const view = observeJob(subject, pods, none, now);
  expect(String(view.failedIndexes)).toBe('1');
  expect(planJob(subject, view, pods, now).create).toEqual([{ index: 0, failures: 1 }]);
});

const rule = (action: string, values: number[]) => ({ action, onExitCodes: { operator: 'In', values } });
test.each<[string, Partial<Spec>, Pod[], Job['status'], string | undefined]>([
  ['too many failures', { backoffLimit: 0 }, [pod('a', 'Failed', { exitCode: 1 })], {}, 'BackoffLimitExceeded'],
  ['few failures', { backoffLimit: 1 }, [pod('a', 'Failed', { exitCode: 1 })], {}, undefined],
  [
    'ignored failures',
    { backoffLimit: 0, podFailurePolicy: { rules: [rule('Ignore', [1])] } },
    [pod('a', 'Failed', { exitCode: 1 })],
    {},
    undefined,
  ],
  [
    'a failure that ends it',
    { podFailurePolicy: { rules: [rule('FailJob', [42])] } },
    [pod('a', 'Failed', { exitCode: 42 })],
    {},
    'PodFailurePolicy',
  ],
  ['a passed deadline', { activeDeadlineSeconds: 60 }, [], { startTime: '2026-01-01T11:00:00Z' }, 'DeadlineExceeded'],
  [
    'all indexes done or failed',
    { completionMode: 'Indexed', completions: 2, backoffLimitPerIndex: 0 },
    [pod('a', 'Failed', { index: 0, failures: 0, exitCode: 1 })],
    { completedIndexes: '1' },
    'FailedIndexes',
  ],
  [
    'its success policy',
    { completionMode: 'Indexed', completions: 3, successPolicy: { rules: [{ succeededIndexes: '0' }] } },
    [pod('a', 'Succeeded', { index: 0 })],
    {},
    'SuccessPolicy',
  ],
])('%s decide a Job', (_what, spec, pods, status, reason) => {
  expect(observeJob(job(spec, status), pods, none, now).ending?.reason).toBe(reason);
});

test('the message of a failure policy names container, code and rule', () => {
  const subject = job({ podFailurePolicy: { rules: [rule('Ignore', [1]), rule('FailJob', [42])] } });
  expect(observeJob(subject, [pod('a', 'Failed', { exitCode: 42 })], none, now).ending?.message).toBe(
    'Container c for pod default/a failed with exit code 42 matching FailJob rule at index 1',
  );
});

test('a pod that ended is noted, released, counted once, and the last one completes the Job', () => {
  const subject = job({ completions: 2 }, { succeeded: 1, startTime: '2026-01-01T10:00:00Z' });
  const pods = [pod('a', 'Succeeded'), pod('b', 'Succeeded', { tracked: false })];
  const view = observeJob(subject, pods, none, now);
  const ending = completionEnding(subject, view.succeeded, 0);
  const step = { active: 0, terminating: 0, ending, carriers: none, untracked: none };
  const released = podsToRelease(subject, pods, step);
  expect(released.map(({ metadata }) => metadata?.name)).toEqual(['a']);
  const noted = notedStatus(subject, view, step, released, now);
  expect(noted).toMatchObject({ succeeded: 1, uncountedTerminatedPods: { succeeded: ['a'] } });
  const blocked = countedJobStatus(noted, () => true, false, ending, now);
  expect(blocked.conditions?.map(({ type }) => type)).toEqual(['SuccessCriteriaMet']);
  const counted = countedJobStatus(noted, () => false, false, ending, now);
  expect(counted).toMatchObject({ succeeded: 2, uncountedTerminatedPods: {}, completionTime: '2026-01-01T12:00:00Z' });
  expect(counted.conditions?.map(({ type, reason }) => `${type}:${reason}`)).toEqual([
    'SuccessCriteriaMet:CompletionsReached',
    'Complete:CompletionsReached',
  ]);
  // The cache is behind: nothing is counted again.
  const again = observeJob({ ...subject, status: counted }, pods, new Set(['a']), now);
  expect(again.succeeded).toBe(2);
});

test('a failed Job is Failed only when its pods are gone', () => {
  const ending = { type: 'FailureTarget', reason: 'DeadlineExceeded', message: 'm' } as const;
  const types = (terminating: number) =>
    countedJobStatus({ terminating }, () => false, false, ending, now).conditions?.map(({ type }) => type);
  expect(types(1)).toBeUndefined();
  expect(types(0)).toEqual(['Failed']);
});

test('the first False of a condition is no news', () => {
  expect(ensureCondition(undefined, 'Suspended', 'False', 'JobResumed', 'Job resumed', now)).toEqual([]);
});

test('pods of an Indexed Job know their index', () => {
  const template = jobTemplate(job({ completionMode: 'Indexed' }), 3, undefined);
  expect(template.metadata?.labels).toEqual({ 'batch.kubernetes.io/job-completion-index': '3' });
  expect(template.spec?.hostname).toBe('j-3');
  expect(template.spec?.containers[0]?.env).toEqual([
    {
      name: 'JOB_COMPLETION_INDEX',
      valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']" } },
    },
  ]);
});

test.each([
  [[0, 1, 2, 4], '0-2,4'],
  [[5, 3, 4, 9, 8], '3-5,8,9'],
  [[], ''],
])('indexes %j are written %j and read back', (indexes, text) => {
  expect(String(new IndexSet(indexes))).toBe(text);
  expect(String(IndexSet.parse(text))).toBe(text);
});
