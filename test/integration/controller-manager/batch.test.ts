/** Jobs and CronJobs against a real kube-apiserver and etcd; the nodes are hollow. */
import { describe, expect, test } from 'vitest';
import type { CronJob } from '../../../src/machinery/api/types.ts';
import { cronJobs, jobs, pods } from '../../../src/machinery/client/resources.ts';
import { nameOf, namespace, until, useHollowCluster } from './hollow-cluster.ts';

const { resource, when, listed, podsOf, told, patch } = useHollowCluster(['n1', 'n2']);

describe('a Job', () => {
  const create = (name: string, spec: object, exit?: number) =>
    resource(jobs).create({
      metadata: { namespace, name },
      spec: {
        template: {
          metadata: {
            labels: { app: name },
            ...(exit === undefined ? {} : { annotations: { 'hollow/exit': `${exit}` } }),
          },
          spec: { containers: [{ name: 'c', image: 'v1' }], restartPolicy: 'Never' },
        },
        ...spec,
      },
    });
  const ended = (name: string) =>
    when(
      jobs,
      name,
      ({ status }) =>
        status?.conditions?.some(
          ({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True',
        ) ?? false,
    );

  test('counts its completions once and leaves no finalizer behind', async () => {
    await create('many', { completions: 12, parallelism: 5 }, 0);
    const { status } = await ended('many');
    expect(status).toMatchObject({ succeeded: 12, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
    expect(status?.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
      'SuccessCriteriaMet CompletionsReached',
      'Complete CompletionsReached',
    ]);
    const all = await listed(pods, 'app=many');
    expect(all).toHaveLength(12);
    expect(all.filter(({ metadata }) => metadata?.finalizers?.length)).toEqual([]);
    await told('Job', 'many', 'Completed: Job completed');
  });

  test('of indexes runs each of them', async () => {
    await create('indexed', { completions: 3, parallelism: 2, completionMode: 'Indexed' }, 0);
    const { status } = await ended('indexed');
    expect(status).toMatchObject({ succeeded: 3, completedIndexes: '0-2' });
    const names = (await listed(pods, 'app=indexed')).map(nameOf).sort();
    expect(names.map((name) => name.slice(0, -6))).toEqual(['indexed-0', 'indexed-1', 'indexed-2']);
  });

  test('fails when its pods fail too often', async () => {
    await create('failing', { backoffLimit: 0 }, 3);
    const { status } = await ended('failing');
    expect(status?.failed).toBe(1);
    expect(status?.conditions?.at(-1)).toMatchObject({
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    });
    await told('Job', 'failing', 'BackoffLimitExceeded: Job has reached the specified backoff limit');
  });

  test('fails at its deadline and takes its pods with it', async () => {
    await create('late', { activeDeadlineSeconds: 1 });
    const { status } = await ended('late');
    expect(status?.conditions?.at(-1)).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
    expect(status?.active).toBeUndefined();
  });

  test('that shrinks does not count the pods it lets go', async () => {
    await create('shrinking', { parallelism: 3 });
    await when(jobs, 'shrinking', ({ status }) => status?.ready === 3);
    await patch(jobs, 'shrinking', { spec: { parallelism: 1 } });
    const { status } = await when(jobs, 'shrinking', (job) => job.status?.ready === 1 && job.status.terminating === 0);
    expect(status?.failed).toBeUndefined();
    expect(await podsOf('shrinking')).toHaveLength(1);
  });

  test('that is suspended has no pods until it is resumed', async () => {
    await create('waiting', { suspend: true }, 0);
    await when(jobs, 'waiting', ({ status }) => status?.conditions?.[0]?.type === 'Suspended');
    expect(await listed(pods, 'app=waiting')).toEqual([]);
    await patch(jobs, 'waiting', { spec: { suspend: false } });
    const { status } = await ended('waiting');
    expect(status?.conditions?.map(({ type, status: value }) => `${type}=${value}`)).toEqual([
      'Suspended=False',
      'SuccessCriteriaMet=True',
      'Complete=True',
    ]);
  });

  test('that is deleted lets its pods go', async () => {
    await create('dropped', { parallelism: 2 });
    await when(jobs, 'dropped', ({ status }) => status?.ready === 2);
    await resource(jobs).delete({ namespace, name: 'dropped' }, { propagationPolicy: 'Background' });
    await until('its pods to go', async () => (await listed(pods, 'app=dropped')).length === 0);
  });
});

test('a CronJob whose time has come makes one Job and remembers when', async () => {
  const cronJob: CronJob = {
    metadata: { namespace, name: 'tick' },
    spec: {
      schedule: '* * * * *',
      successfulJobsHistoryLimit: 1,
      jobTemplate: {
        spec: {
          template: {
            metadata: { annotations: { 'hollow/exit': '0' } },
            spec: { containers: [{ name: 'c', image: 'v1' }], restartPolicy: 'Never' },
          },
        },
      },
    },
  };
  await resource(cronJobs).create(cronJob);
  const ran = await until(
    'the first run',
    async () => {
      const found = await resource(cronJobs).get({ namespace, name: 'tick' });
      return found.status?.lastSuccessfulTime ? found : undefined;
    },
    75,
  );
  const minute = Date.parse(ran.status?.lastScheduleTime ?? '') / 60_000;
  const job = await resource(jobs).get({ namespace, name: `tick-${minute}` });
  expect(job.metadata?.ownerReferences).toMatchObject([{ kind: 'CronJob', name: 'tick', controller: true }]);
  expect(ran.status?.active).toBeUndefined();
  await told('CronJob', 'tick', `SuccessfulCreate: Created job tick-${minute}`);
  await told('CronJob', 'tick', `SawCompletedJob: Saw completed job: tick-${minute}, condition: Complete`);
}, 90_000);
