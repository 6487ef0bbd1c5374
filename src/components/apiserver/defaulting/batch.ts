/** Defaults of jobs and cron jobs. */
import { ensureObject, type Fields, hasObject, isUnset, listAt, objectAt, setDefault } from './fields.ts';
import { defaultPodTemplate } from './pods.ts';

const unlimited = 2_147_483_647;

function defaultJob(job: Fields): void {
  const spec = ensureObject(job, 'spec');
  if (isUnset(spec['completions']) && isUnset(spec['parallelism'])) spec['completions'] = 1;
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'backoffLimit', isUnset(spec['backoffLimitPerIndex']) ? 6 : unlimited);
  setDefault(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  const policy = objectAt(spec, 'podFailurePolicy');
  for (const rule of listAt(policy, 'rules')) {
    for (const pattern of listAt(rule, 'onPodConditions')) setDefault(pattern, 'status', 'True', '');
  }
  setDefault(spec, 'podReplacementPolicy', hasObject(spec, 'podFailurePolicy') ? 'Failed' : 'TerminatingOrFailed');
  defaultPodTemplate(spec);
  const labels = objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  const metadata = ensureObject(job, 'metadata');
  if (Object.keys(objectAt(metadata, 'labels')).length === 0 && Object.keys(labels).length > 0) {
    metadata['labels'] = { ...labels };
  }
}

function defaultCronJob(cronJob: Fields): void {
  const spec = ensureObject(cronJob, 'spec');
  setDefault(spec, 'concurrencyPolicy', 'Allow', '');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'successfulJobsHistoryLimit', 3);
  setDefault(spec, 'failedJobsHistoryLimit', 1);
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec');
  for (const rule of listAt(objectAt(jobSpec, 'podFailurePolicy'), 'rules')) {
    for (const pattern of listAt(rule, 'onPodConditions')) setDefault(pattern, 'status', 'True', '');
  }
  defaultPodTemplate(jobSpec);
}

export const batchDefaults: Record<string, (object: Fields) => void> = {
  'batch/v1/CronJob': defaultCronJob,
  'batch/v1/Job': defaultJob,
};
