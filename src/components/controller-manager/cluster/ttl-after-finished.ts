/** Finished Jobs with `ttlSecondsAfterFinished` are deleted when their time is over. */
import { timeOf } from '../../../machinery/api/time.ts';
import type { Job } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { jobs } from '../../../machinery/client/resources.ts';
import { keyOf, splitKey } from '../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';

/** When the job may be deleted, in milliseconds since 1970; undefined when never or not yet finished. */
export function deletableAt(job: Job): number | undefined {
  const ttl = job.spec?.ttlSecondsAfterFinished;
  if (ttl === undefined || ttl === null || job.metadata?.deletionTimestamp) return undefined;
  const end = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  return end?.lastTransitionTime ? timeOf(end.lastTransitionTime) + ttl * 1000 : undefined;
}

export const ttlAfterFinished: Controller = {
  name: 'ttl-after-finished-controller',
  serviceAccount: 'ttl-after-finished-controller',
  async run(context) {
    const informer = context.informers.informer(jobs);
    const queue = createWorkQueue<string>();
    const add = (job: Job) => {
      if (deletableAt(job) !== undefined) queue.add(keyOf(job));
    };
    informer.addHandler({ onAdd: add, onUpdate: (_old, job) => add(job) });
    await runReconciler(context, {
      queue,
      sources: [informer],
      async reconcile(key) {
        const cached = informer.store.get(key);
        const at = cached && deletableAt(cached);
        if (at === undefined) return;
        if (at > Date.now()) {
          queue.addAfter(key, at - Date.now());
          return;
        }
        // The cache may be behind: somebody may have raised the time to live.
        const job = await context.client.resource(jobs).find(splitKey(key));
        const liveAt = job && deletableAt(job);
        if (!job || liveAt === undefined) return;
        if (liveAt > Date.now()) {
          queue.addAfter(key, liveAt - Date.now());
          return;
        }
        const preconditions = { uid: job.metadata?.uid ?? '', resourceVersion: job.metadata?.resourceVersion ?? '' };
        try {
          await context.client.resource(jobs).delete(splitKey(key), { propagationPolicy: 'Foreground', preconditions });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};
