/** The Job controller: runs pods until enough have succeeded or too many have failed. */
import { isDeepStrictEqual } from 'node:util';
import { controllerOf, objectKey } from '../../../../machinery/api/owners.ts';
import { labelSelectorOf, matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Job, KubeObject, Pod } from '../../../../machinery/api/types.ts';
import { isInvalid, isNotFound } from '../../../../machinery/client/errors.ts';
import { jobs, pods } from '../../../../machinery/client/resources.ts';
import type { ResourceType } from '../../../../machinery/client/types.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue, runWorkers } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { isNamespaceTerminating } from '../../framework/failures.ts';
import { LatestWritten } from '../../framework/latest-written.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { candidatesFor, claimObjects, controlledBy, indexByController } from '../pods/claim.ts';
import { Expectations } from '../pods/expectations.ts';
import { createPodControl, podFromTemplate } from '../pods/pod-control.ts';
import { watchPods } from '../pods/pod-events.ts';
import { slowStart } from '../pods/slow-start.ts';
import { isIndexed, isJobFinished, isSuspended, isTracked, jobTemplate, trackingFinalizer } from './job-pods.ts';
import { completionEnding, deadlineMs, type JobView, observeJob } from './observe.ts';
import { countCarriers, type NewPod, planJob } from './plan.ts';
import { countedJobStatus, ensureCondition, type JobStatus, notedStatus, podsToRelease } from './status.ts';

/** Changes of many pods at once make one sync. */
const batchMs = 100;

export const jobController: Controller = {
  name: 'job-controller',
  serviceAccount: 'job-controller',
  run: (context) => runJobs(context),
};

/** Jobs can be given to another controller. */
const isOurs = ({ spec }: Job): boolean => !spec?.managedBy || spec.managedBy === 'kubernetes.io/job-controller';

async function runJobs(context: ControllerContext): Promise<void> {
  const { client, informers, signal, logger } = context;
  const jobInformer = informers.informer(jobs);
  const podInformer = informers.informer(pods);
  indexByController(podInformer);
  const recorder = context.recorder('job-controller');
  const control = createPodControl(client, recorder, jobs);
  const queue = createWorkQueue<string>({ baseDelayMs: 1000, maxDelayMs: 60_000 });
  const orphans = createWorkQueue<string>();
  const expectations = new Expectations();
  const latest = new LatestWritten<Job>();
  /** By Job: uids of pods whose finalizer was removed, until the cache shows it. */
  const untracked = new Map<string, Set<string>>();

  jobInformer.addHandler({
    onAdd: (job) => queue.add(objectKey(job)),
    onUpdate: (_old, job) => queue.add(objectKey(job)),
    onDelete(job) {
      queue.add(objectKey(job));
      for (const pod of controlledBy(podInformer, job)) if (isTracked(pod)) orphans.add(objectKey(pod));
    },
  });
  const resolve = (namespace: string, reference: { kind: string; name: string; uid: string }) => {
    if (reference.kind !== 'Job') return undefined;
    const job = jobInformer.store.get(`${namespace}/${reference.name}`);
    return job?.metadata?.uid === reference.uid ? job : undefined;
  };
  watchPods(podInformer, {
    resolve,
    matching: ({ metadata }) =>
      jobInformer.store
        .list()
        .filter(
          (job) =>
            job.metadata?.namespace === metadata?.namespace &&
            matchesLabelSelector(job.spec?.selector, metadata?.labels),
        ),
    enqueue(job, pod) {
      if (!isTracked(pod)) untracked.get(objectKey(job))?.delete(pod.metadata?.uid ?? '');
      queue.addAfter(objectKey(job), batchMs);
    },
    created: (job) => expectations.creationObserved(objectKey(job)),
    deleted: (job, pod) => expectations.deletionObserved(objectKey(job), objectKey(pod)),
  });
  const offerOrphan = (pod: Pod) => {
    if (isTracked(pod) && controllerOf(pod)?.kind === 'Job') orphans.add(objectKey(pod));
  };
  podInformer.addHandler({ onAdd: offerOrphan, onUpdate: (_old, pod) => offerOrphan(pod) });

  async function releasePod({ metadata }: Pod): Promise<void> {
    const { namespace = '', name = '', uid } = metadata ?? {};
    const patch = { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } };
    try {
      await client.resource(pods).patch({ namespace, name }, patch, { type: 'strategic' });
    } catch (error) {
      // Gone, or another pod of that name: it counts as released either way.
      if (!isNotFound(error) && !isInvalid(error)) throw error;
    }
  }

  async function dismiss(key: string, job: Job, pod: Pod): Promise<boolean> {
    if (isTracked(pod)) {
      await releasePod(pod);
      untracked.get(key)?.add(pod.metadata?.uid ?? '');
    }
    return control.remove(pod, job);
  }

  async function createPods(key: string, job: Job, wanted: NewPod[]): Promise<{ made: number; error?: Error }> {
    expectations.expectCreations(key, wanted.length);
    const { succeeded, error } = await slowStart(wanted.length, async (position) => {
      const { index, failures } = wanted[position] ?? {};
      const pod = podFromTemplate(jobTemplate(job, index, failures), job, jobs);
      const metadata =
        index === undefined ? pod.metadata : { ...pod.metadata, generateName: `${job.metadata?.name}-${index}-` };
      try {
        await control.create({ ...pod, ...(metadata ? { metadata } : {}) }, job);
      } catch (failure) {
        if (!isNamespaceTerminating(failure)) throw failure;
        expectations.creationObserved(key);
      }
    });
    expectations.creationObserved(key, wanted.length - succeeded);
    return { made: succeeded, ...(error ? { error } : {}) };
  }

  /** @param asFailed pods of a Job that ends count as failed; those of one that shrinks or is suspended do not count at all */
  async function deletePods(key: string, job: Job, doomed: Pod[], asFailed: boolean) {
    expectations.expectDeletions(key, doomed.map(objectKey));
    const results = await Promise.allSettled(
      doomed.map(async (pod) => {
        const there = await (asFailed ? control.remove(pod, job) : dismiss(key, job, pod)).catch(
          (error: Error) => error,
        );
        if (there !== true) expectations.deletionObserved(key, objectKey(pod));
        if (there instanceof Error) throw there;
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    const deleted = results.filter(({ status }) => status === 'fulfilled').length;
    return { deleted, ...(failed ? { error: failed.reason as Error } : {}) };
  }

  /** Creates or deletes what the Job needs now. Answers how many are active then. */
  async function act(key: string, job: Job, view: JobView, jobPods: Pod[]) {
    const active = view.active.length;
    const { terminating } = view;
    if (view.ending) {
      if (active === 0) return { active, terminating };
      const { deleted, error } = await deletePods(key, job, view.active, true);
      return { active: active - deleted, terminating: terminating + deleted, error };
    }
    if (!expectations.satisfied(key) || job.metadata?.deletionTimestamp) return { active, terminating };
    const plan = planJob(job, view, jobPods);
    if (plan.waitMs !== undefined) queue.addAfter(key, plan.waitMs + 10);
    if (plan.remove.length > 0) {
      const { deleted, error } = await deletePods(key, job, plan.remove, false);
      return { active: active - deleted, terminating: terminating + deleted, error, managed: true };
    }
    if (plan.create.length === 0) return { active, terminating, managed: true };
    const { made, error } = await createPods(key, job, plan.create);
    return { active: active + made, terminating, error, managed: true };
  }

  async function writeStatus(job: Job, status: JobStatus): Promise<Job> {
    if (isDeepStrictEqual(status, job.status)) return job;
    const written = await client.resource(jobs).updateStatus({ ...job, status });
    latest.wrote(written);
    return written;
  }

  /** Suspending and resuming are conditions, told in events; the clock of the deadline starts again with a resumption. */
  function withSuspension(job: Job): Job {
    const conditions = job.status?.conditions;
    const suspended = isSuspended(job);
    const next = suspended
      ? ensureCondition(conditions, 'Suspended', 'True', 'JobSuspended', 'Job suspended')
      : ensureCondition(conditions, 'Suspended', 'False', 'JobResumed', 'Job resumed');
    if (next === conditions || (!conditions && next.length === 0)) return job;
    const [reason, message] = suspended ? ['Suspended', 'Job suspended'] : ['Resumed', 'Job resumed'];
    recorder.event(referenceTo(job, 'batch/v1', 'Job'), 'Normal', reason, message);
    const { startTime: _old, ...status } = job.status ?? {};
    const startTime = suspended ? job.status?.startTime : formatTime();
    return { ...job, status: { ...status, ...(startTime ? { startTime } : {}), conditions: next } };
  }

  async function sync(key: string, cached: Job): Promise<void> {
    const found = latest.of(cached);
    if (isJobFinished(found)) return;
    const released = untracked.get(key) ?? new Set<string>();
    untracked.set(key, released);
    const jobPods = await claimObjects(candidatesFor(podInformer, found), {
      client,
      owner: found,
      ownerType: jobs as ResourceType<KubeObject>,
      type: pods,
      selector: labelSelectorOf(found.spec?.selector),
      finalizer: trackingFinalizer,
    });
    const view = observeJob(found, jobPods, released);
    const { active, terminating, error, managed } = await act(key, found, view, jobPods);
    const ending = view.ending ?? completionEnding(found, view.succeeded, active);
    const job = managed && !ending ? withSuspension(found) : found;
    const step = { active, terminating, ending, carriers: countCarriers(job, view, jobPods), untracked: released };
    const toRelease = podsToRelease(job, jobPods, step);
    const noted = notedStatus(job, view, step, toRelease);
    const written = await writeStatus(found, noted);
    const results = await Promise.allSettled(
      toRelease.map(async (pod) => {
        await releasePod(pod);
        released.add(pod.metadata?.uid ?? '');
      }),
    );
    const trackedUids = new Set(
      jobPods.flatMap((pod) => {
        const uid = pod.metadata?.uid ?? '';
        return isTracked(pod) && !released.has(uid) ? [uid] : [];
      }),
    );
    const counted = countedJobStatus(noted, (uid) => trackedUids.has(uid), isIndexed(job), ending);
    const final = await writeStatus(written, counted);
    tellEnd(final);
    const deadline = deadlineMs(final);
    if (deadline !== undefined && !isJobFinished(final)) queue.addAfter(key, Math.max(0, deadline) + 10);
    const failed = error ?? results.find((result) => result.status === 'rejected')?.reason;
    if (failed) throw failed as Error;
  }

  function tellEnd(job: Job): void {
    const about = referenceTo(job, 'batch/v1', 'Job');
    for (const { type, status, reason = '', message = '' } of job.status?.conditions ?? []) {
      if (status !== 'True') continue;
      if (type === 'Complete') recorder.event(about, 'Normal', 'Completed', 'Job completed');
      else if (type === 'Failed') recorder.event(about, 'Warning', reason, message);
    }
  }

  /** Pods of Jobs that are gone or over must not be held by the finalizer. */
  async function releaseOrphan(key: string): Promise<void> {
    const pod = podInformer.store.get(key);
    const reference = pod && controllerOf(pod);
    if (!pod || !reference || !isTracked(pod)) return;
    const job = resolve(pod.metadata?.namespace ?? '', reference);
    if (job && (!isOurs(job) || !isJobFinished(job))) return;
    await releasePod(pod);
  }

  const reconciling = runReconciler(context, {
    queue,
    sources: [jobInformer, podInformer],
    workers: 5,
    async reconcile(key) {
      const job = jobInformer.store.get(key);
      if (!job) {
        expectations.forget(key);
        untracked.delete(key);
        latest.forget(key);
        return;
      }
      if (isOurs(job)) await sync(key, job);
    },
  });
  const releasing = async () => {
    await Promise.all([jobInformer.synced(signal), podInformer.synced(signal)]);
    await runWorkers(orphans, 1, releaseOrphan, signal, (key, error) => {
      if (!signal.aborted) logger.warn({ object: key }, error.message);
    });
  };
  await Promise.all([reconciling, releasing()]);
}
