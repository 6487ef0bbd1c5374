/** When a CronJob is due, what its Jobs look like, and which finished ones it no longer keeps. */
import { controllerReference } from '../../../../machinery/api/owners.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { CronJob, Job } from '../../../../machinery/api/types.ts';
import { cronJobs } from '../../../../machinery/client/resources.ts';
import type { Schedule } from './schedule.ts';

const scheduledAtAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
const missedLimit = 100;

export interface Due {
  /** The latest time that has come and was not yet acted on. */
  at: number | undefined;
  missedTooMany: boolean;
}

/** Times between the last one acted on (or the creation) and now; only the latest counts. */
export function dueTime(cronJob: CronJob, schedule: Schedule, now: number): Due {
  const deadline = cronJob.spec?.startingDeadlineSeconds;
  let from = timeOf(cronJob.status?.lastScheduleTime) || timeOf(cronJob.metadata?.creationTimestamp);
  if (deadline !== undefined) from = Math.max(from, now - deadline * 1000);
  let at: number | undefined;
  let count = 0;
  for (let next = schedule.next(from); next !== undefined && next <= now; next = schedule.next(next)) {
    at = next;
    count += 1;
    if (count > missedLimit) {
      const recent = latestBefore(schedule, from, now);
      return { at: recent, missedTooMany: deadline === undefined };
    }
  }
  return { at, missedTooMany: false };
}

/** Looks back in growing steps, so that years of missed minutes cost nothing. */
function latestBefore(schedule: Schedule, from: number, now: number): number | undefined {
  for (let span = 120_000; ; span *= 2) {
    const start = Math.max(from, now - span);
    let latest: number | undefined;
    for (let next = schedule.next(start); next !== undefined && next <= now; next = schedule.next(next)) latest = next;
    if (latest !== undefined || start === from) return latest;
  }
}

/** The Job of one time: its name says which, so that it is never made twice. */
export function jobOf(cronJob: CronJob, at: number, zoneTime: string): Job {
  const { name = '', namespace = '' } = cronJob.metadata ?? {};
  const { metadata, spec } = cronJob.spec?.jobTemplate ?? {};
  return {
    metadata: {
      name: `${name.slice(0, 52)}-${Math.floor(at / 60_000)}`,
      namespace,
      ...(metadata?.labels ? { labels: { ...metadata.labels } } : {}),
      annotations: { ...metadata?.annotations, [scheduledAtAnnotation]: zoneTime },
      ownerReferences: [controllerReference(cronJob, cronJobs)],
    },
    ...(spec ? { spec: structuredClone(spec) } : {}),
  };
}

/** RFC 3339 with the zone's offset: `2026-01-01T03:00:00+01:00`, `Z` for UTC. */
export function formatInZone(time: number, offsetMs: number): string {
  const local = new Date(time + offsetMs).toISOString().slice(0, 19);
  if (offsetMs === 0) return `${local}Z`;
  const minutes = Math.abs(offsetMs) / 60_000;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${local}${offsetMs < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/** As `Thu, 01 Jan 2026 03:00:00 +0100`, in messages. */
export function formatRfc1123(time: number, offsetMs: number): string {
  const text = new Date(time + offsetMs).toUTCString().replace(' GMT', '');
  const zone = formatInZone(time, offsetMs).slice(19).replace(':', '');
  return `${text} ${zone === 'Z' ? '+0000' : zone}`;
}

/** The type of the condition that ended the Job. */
export const finishedAs = ({ status }: Job): string | undefined =>
  status?.conditions?.find(({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True')
    ?.type;

/** Finished Jobs beyond the history limits, oldest first. */
export function jobsToCleanUp({ spec }: CronJob, jobs: Job[]): Job[] {
  const started = (job: Job) => timeOf(job.status?.startTime, Number.POSITIVE_INFINITY);
  const surplus = (type: string, limit: number | undefined): Job[] => {
    if (limit === undefined) return [];
    const finished = jobs.filter((job) => finishedAs(job) === type);
    finished.sort((a, b) => started(a) - started(b) || ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
    return finished.slice(0, Math.max(0, finished.length - limit));
  };
  return [...surplus('Complete', spec?.successfulJobsHistoryLimit), ...surplus('Failed', spec?.failedJobsHistoryLimit)];
}
