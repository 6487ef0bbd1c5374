import { expect, test } from 'vitest';
import {
  dueTime,
  formatInZone,
  formatRfc1123,
  jobOf,
  jobsToCleanUp,
} from '../../../src/components/controller-manager/workloads/cron-job/plan.ts';
import { parseSchedule, zoneOffset } from '../../../src/components/controller-manager/workloads/cron-job/schedule.ts';
import type { CronJob, Job } from '../../../src/machinery/api/types.ts';

const utc = zoneOffset('UTC');
const at = (text: string) => Date.parse(text);

test.each([
  ['*/5 * * * *', 'UTC', '2026-01-01T00:01:30Z', '2026-01-01T00:05:00Z'],
  ['0 3 * * *', 'UTC', '2026-01-01T03:00:00Z', '2026-01-02T03:00:00Z'],
  ['0 0 1 * *', 'UTC', '2026-01-31T00:00:00Z', '2026-02-01T00:00:00Z'],
  ['30 8 * * mon-fri', 'UTC', '2026-01-02T09:00:00Z', '2026-01-05T08:30:00Z'],
  ['0 0 13 * 5', 'UTC', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
  ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['@hourly', 'UTC', '2026-01-01T00:10:00Z', '2026-01-01T01:00:00Z'],
  ['0 9 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z', '2026-07-01T07:00:00Z'],
  ['0 9 * * *', 'America/New_York', '2026-01-01T00:00:00Z', '2026-01-01T14:00:00Z'],
  // 02:30 does not exist on the day that the clock goes forward.
  ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z'],
])('%s in %s after %s is %s', (schedule, zone, after, next) => {
  expect(parseSchedule(schedule, zoneOffset(zone)).next(at(after))).toBe(at(next));
});

test.each([
  ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['@often', 'unrecognized descriptor: @often'],
])('%s is no schedule', (text, message) => {
  expect(() => parseSchedule(text, utc)).toThrow(message);
});

const cronJob = (spec: object = {}, lastScheduleTime?: string): CronJob => ({
  metadata: { name: 'c', namespace: 'default', uid: 'c', creationTimestamp: '2026-01-01T00:00:30Z' },
  spec: { schedule: '* * * * *', jobTemplate: { metadata: { labels: { a: 'b' } }, spec: { template: {} } }, ...spec },
  status: lastScheduleTime ? { lastScheduleTime } : {},
});
const everyMinute = parseSchedule('* * * * *', utc);

test.each([
  ['nothing before the first time', cronJob(), '2026-01-01T00:00:50Z', undefined, false],
  ['the first time after the creation', cronJob(), '2026-01-01T00:01:05Z', '2026-01-01T00:01:00Z', false],
  ['nothing twice', cronJob({}, '2026-01-01T00:05:00Z'), '2026-01-01T00:05:30Z', undefined, false],
  ['only the latest of several', cronJob(), '2026-01-01T00:09:05Z', '2026-01-01T00:09:00Z', false],
  ['the latest of very many, with a warning', cronJob(), '2026-02-01T00:09:05Z', '2026-02-01T00:09:00Z', true],
  [
    'the latest of very many within the deadline',
    cronJob({ startingDeadlineSeconds: 60_000 }),
    '2026-02-01T00:09:05Z',
    '2026-02-01T00:09:00Z',
    false,
  ],
  ['nothing beyond the deadline', cronJob({ startingDeadlineSeconds: 3 }), '2026-01-01T00:09:05Z', undefined, false],
])('due is %s', (_what, subject, now, due, missedTooMany) => {
  expect(dueTime(subject, everyMinute, at(now))).toEqual({ at: due ? at(due) : undefined, missedTooMany });
});

test('a Job is named after its minute and says when it was due', () => {
  const time = at('2026-01-01T00:01:00Z');
  const job = jobOf(cronJob(), time, formatInZone(time, zoneOffset('Europe/Berlin')(time)));
  expect(job.metadata).toMatchObject({
    name: `c-${time / 60_000}`,
    labels: { a: 'b' },
    annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T01:01:00+01:00' },
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', uid: 'c', controller: true }],
  });
  expect(formatRfc1123(time, 0)).toBe('Thu, 01 Jan 2026 00:01:00 +0000');
});

test('only so many finished Jobs are kept, the newest', () => {
  const job = (name: string, type: string, startTime: string): Job => ({
    metadata: { name },
    status: { startTime, conditions: [{ type, status: 'True' }] },
  });
  const all = [
    job('new', 'Complete', '2026-01-01T03:00:00Z'),
    job('old', 'Complete', '2026-01-01T01:00:00Z'),
    job('broken', 'Failed', '2026-01-01T02:00:00Z'),
    { metadata: { name: 'running' } },
  ];
  const subject = cronJob({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 });
  expect(jobsToCleanUp(subject, all).map(({ metadata }) => metadata?.name)).toEqual(['old', 'broken']);
});
