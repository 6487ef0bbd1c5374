/** The CronJob controller: makes a Job each time the schedule says so. */
import { isDeepStrictEqual } from 'node:util';
import { controllerOf, isControlledBy, objectKey } from '../../../../machinery/api/owners.ts';
import { formatTime, timeOf } from '../../../../machinery/api/time.ts';
import type { CronJob, Job, ObjectReference } from '../../../../machinery/api/types.ts';
import { isAlreadyExists, isNotFound } from '../../../../machinery/client/errors.ts';
import { cronJobs, jobs } from '../../../../machinery/client/resources.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../../framework/failures.ts';
import { LatestWritten } from '../../framework/latest-written.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { controlledBy, indexByController } from '../pods/claim.ts';
import { dueTime, finishedAs, formatInZone, formatRfc1123, jobOf, jobsToCleanUp } from './plan.ts';
import { parseSchedule, type Schedule, zoneOffset } from './schedule.ts';

type CronJobStatus = NonNullable<CronJob['status']>;

export const cronJobController: Controller = {
  name: 'cronjob-controller',
  serviceAccount: 'cronjob-controller',
  run: (context) => runCronJobs(context),
};

async function runCronJobs(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const cronJobInformer = informers.informer(cronJobs);
  const jobInformer = informers.informer(jobs);
  indexByController(jobInformer);
  const recorder = context.recorder('cronjob-controller');
  const queue = createWorkQueue<string>();
  const latest = new LatestWritten<CronJob>();
  const add = (cronJob: CronJob) => queue.add(objectKey(cronJob));
  cronJobInformer.addHandler({ onAdd: add, onUpdate: (_old, cronJob) => add(cronJob), onDelete: add });
  const addOwner = (job: Job) => {
    const owner = controllerOf(job);
    if (owner?.kind === 'CronJob') queue.add(`${job.metadata?.namespace}/${owner.name}`);
  };
  jobInformer.addHandler({
    onAdd: addOwner,
    onUpdate(old, job) {
      addOwner(old);
      addOwner(job);
    },
    onDelete: addOwner,
  });
  const tell = (cronJob: CronJob, type: 'Normal' | 'Warning', reason: string, message: string) =>
    recorder.event(referenceTo(cronJob, 'batch/v1', 'CronJob'), type, reason, message);

  async function deleteJob(cronJob: CronJob, { metadata }: Job | { metadata: ObjectReference }): Promise<void> {
    const { namespace = '', name = '' } = metadata ?? {};
    try {
      await client.resource(jobs).delete({ namespace, name }, { propagationPolicy: 'Background' });
      tell(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    } catch (error) {
      if (isNotFound(error)) return;
      tell(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${messageOf(error)}`);
      throw error;
    }
  }

  /** Which of its Jobs run, and when the last one succeeded. */
  async function followJobs(cronJob: CronJob, own: Job[]): Promise<CronJobStatus> {
    const status: CronJobStatus = { ...cronJob.status };
    let active = [...(status.active ?? [])];
    for (const job of own) {
      const { uid, name } = job.metadata ?? {};
      const ended = finishedAs(job);
      const isListed = active.some((reference) => reference.uid === uid);
      if (!isListed && !ended) {
        const message = `Saw a job that the controller did not create or forgot: ${name}`;
        tell(cronJob, 'Warning', 'UnexpectedJob', message);
      } else if (isListed && ended) {
        active = active.filter((reference) => reference.uid !== uid);
        tell(cronJob, 'Normal', 'SawCompletedJob', `Saw completed job: ${name}, condition: ${ended}`);
      }
      const completed = ended === 'Complete' ? job.status?.completionTime : undefined;
      if (completed && timeOf(completed) > timeOf(status.lastSuccessfulTime)) status.lastSuccessfulTime = completed;
    }
    const known = new Set(own.map(({ metadata }) => metadata?.uid));
    for (const reference of active) {
      if (known.has(reference.uid)) continue;
      const { namespace = cronJob.metadata?.namespace ?? '', name = '' } = reference;
      const job = await client.resource(jobs).find({ namespace, name });
      if (job?.metadata?.uid === reference.uid) continue;
      active = active.filter((other) => other !== reference);
      tell(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${name}`);
    }
    const { active: _old, ...rest } = status;
    return { ...rest, ...(active.length ? { active } : {}) };
  }

  async function writeStatus(cronJob: CronJob, status: CronJobStatus): Promise<CronJob> {
    if (isDeepStrictEqual(status, cronJob.status ?? {})) return cronJob;
    const written = await client.resource(cronJobs).updateStatus({ ...cronJob, status });
    latest.wrote(written);
    return written;
  }

  function scheduleOf(cronJob: CronJob): { schedule: Schedule; offsetAt: (time: number) => number } | undefined {
    const { schedule = '', timeZone } = cronJob.spec ?? {};
    let offsetAt: (time: number) => number;
    try {
      offsetAt = zoneOffset(timeZone);
    } catch {
      tell(cronJob, 'Warning', 'UnknownTimeZone', `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`);
      return undefined;
    }
    try {
      return { schedule: parseSchedule(schedule, offsetAt), offsetAt };
    } catch (error) {
      const message = `unparseable schedule: "${schedule}" : ${(error as Error).message}`;
      tell(cronJob, 'Warning', 'UnparseableCronJobSchedule', message);
      return undefined;
    }
  }

  async function start(cronJob: CronJob, at: number, offsetMs: number): Promise<void> {
    const { spec, status } = cronJob;
    let active = status?.active ?? [];
    if (spec?.concurrencyPolicy === 'Forbid' && active.length > 0) {
      const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
      tell(cronJob, 'Normal', 'JobAlreadyActive', message);
      return;
    }
    if (spec?.concurrencyPolicy === 'Replace') {
      for (const { name = '' } of active) {
        const namespace = cronJob.metadata?.namespace ?? '';
        await deleteJob(cronJob, { metadata: { namespace, name } });
      }
      active = [];
    }
    const wanted = jobOf(cronJob, at, formatInZone(at, offsetMs));
    let job: Job;
    try {
      job = await client.resource(jobs).create(wanted);
      tell(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata?.name}`);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      if (!isAlreadyExists(error)) {
        tell(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
        throw error;
      }
      // Made before and then forgotten, or somebody else's.
      const { namespace = '', name = '' } = wanted.metadata ?? {};
      job = await client.resource(jobs).get({ namespace, name });
      if (!isControlledBy(job, cronJob)) throw error;
    }
    const reference = referenceTo(job, 'batch/v1', 'Job');
    const isRunning = !finishedAs(job) && !active.some(({ uid }) => uid === reference.uid);
    const { active: _old, ...rest } = status ?? {};
    const next = isRunning ? [...active, reference] : active;
    await writeStatus(cronJob, {
      ...rest,
      ...(next.length ? { active: next } : {}),
      lastScheduleTime: formatTime(new Date(at)),
    });
  }

  await runReconciler(context, {
    queue,
    sources: [cronJobInformer, jobInformer],
    workers: 5,
    async reconcile(key) {
      const cached = cronJobInformer.store.get(key);
      if (!cached) return latest.forget(key);
      const found = latest.of(cached);
      const own = controlledBy(jobInformer, found);
      const cronJob = await writeStatus(found, await followJobs(found, own));
      for (const job of jobsToCleanUp(cronJob, own)) await deleteJob(cronJob, job);
      if (cronJob.metadata?.deletionTimestamp || cronJob.spec?.suspend) return;
      const clock = scheduleOf(cronJob);
      if (!clock) return;
      const { schedule, offsetAt } = clock;
      const now = Date.now();
      const next = schedule.next(now);
      // A little late, so that the time has come for sure.
      if (next !== undefined) queue.addAfter(key, next - now + 100);
      const { at, missedTooMany } = dueTime(cronJob, schedule, now);
      if (missedTooMany) {
        const advice = 'Set or decrease .spec.startingDeadlineSeconds or check clock skew';
        tell(cronJob, 'Warning', 'TooManyMissedTimes', `too many missed start times. ${advice}`);
      }
      if (at === undefined) return;
      const deadline = cronJob.spec?.startingDeadlineSeconds;
      if (deadline !== undefined && at + deadline * 1000 < now) {
        const message = `Missed scheduled time to start a job: ${formatRfc1123(at, offsetAt(at))}`;
        tell(cronJob, 'Warning', 'MissSchedule', message);
        return;
      }
      if (timeOf(cronJob.status?.lastScheduleTime) === at) return;
      await start(cronJob, at, offsetAt(at));
    },
  });
}
