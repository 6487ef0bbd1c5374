/** The batch group: Jobs and CronJobs. */
import { isConditionTrue } from '../../../../machinery/api/conditions.ts';
import type { CronJob, Job } from '../../../../machinery/api/types.ts';
import { containers, humanDuration, selector, since, yesNo } from '../format.ts';
import { ageColumn, ageOf, column, containerColumns, nameColumn, nameOf, printer, selectorColumn } from '../printer.ts';

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration({ status }: Job, now: number): string {
  if (!status?.startTime) return '';
  const end = status.completionTime ? Date.parse(status.completionTime) : now;
  return humanDuration(end - Date.parse(status.startTime));
}

function jobStatus(job: Job): string {
  const is = (type: string) => isConditionTrue(job.status?.conditions, type);
  if (is('Complete')) return 'Complete';
  if (is('Failed')) return 'Failed';
  if (job.metadata?.deletionTimestamp) return 'Terminating';
  if (is('Suspended')) return 'Suspended';
  return is('FailureTarget') ? 'FailureTarget' : 'Running';
}

export const jobPrinter = printer<Job>({
  columns: [
    nameColumn,
    column('Status', 'string', 'How far the job is.'),
    column('Completions', 'string', 'Pods that succeeded of those wanted.'),
    column('Duration', 'string', 'Time that the job took or has taken.'),
    ageColumn,
    ...containerColumns,
    selectorColumn,
  ],
  cells: (job, now) => [
    nameOf(job),
    jobStatus(job),
    completions(job),
    jobDuration(job, now),
    ageOf(job, now),
    ...containers(job.spec?.template?.spec?.containers),
    selector(job.spec?.selector),
  ],
});

export const cronJobPrinter = printer<CronJob>({
  columns: [
    nameColumn,
    column('Schedule', 'string', 'When jobs start, in the format of cron.'),
    column('Timezone', 'string', 'Time zone of the schedule.'),
    column('Suspend', 'boolean', 'Whether no more jobs start.'),
    column('Active', 'integer', 'Number of running jobs.'),
    column('Last Schedule', 'string', 'When a job was last started.'),
    ageColumn,
    ...containerColumns,
    selectorColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.schedule ?? '',
    object.spec?.timeZone ?? '<none>',
    yesNo(object.spec?.suspend),
    object.status?.active?.length ?? 0,
    object.status?.lastScheduleTime ? since(object.status.lastScheduleTime, now) : '<none>',
    ageOf(object, now),
    ...containers(object.spec?.jobTemplate?.spec?.template?.spec?.containers),
    selector(object.spec?.jobTemplate?.spec?.selector),
  ],
});
