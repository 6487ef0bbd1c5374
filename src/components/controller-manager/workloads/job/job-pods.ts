/** Questions about the pods of a Job. */
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Job, Pod, PodTemplateSpec } from '../../../../machinery/api/types.ts';
import { isDeleting } from '../pods/state.ts';

/** Kept on a pod until the Job's status has counted it. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';
export const indexFailuresAnnotation = 'batch.kubernetes.io/job-index-failure-count';
const indexVariable = 'JOB_COMPLETION_INDEX';

export const isTracked = ({ metadata }: Pod): boolean => metadata?.finalizers?.includes(trackingFinalizer) ?? false;
export const isIndexed = ({ spec }: Job): boolean => spec?.completionMode === 'Indexed';
export const isSuspended = ({ spec }: Job): boolean => spec?.suspend === true;
export const isJobFinished = ({ status }: Job): boolean =>
  status?.conditions?.some(
    ({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True',
  ) ?? false;

/** Terminating pods are replaced only when they have ended. */
export const replacesOnlyFailed = ({ spec }: Job): boolean =>
  spec?.podReplacementPolicy === 'Failed' || (!spec?.podReplacementPolicy && spec?.podFailurePolicy !== undefined);

/** A pod that is being deleted will hardly succeed any more: it counts as failed unless the Job waits for its end. */
export function isPodFailed(pod: Pod, job: Job): boolean {
  if (pod.status?.phase === 'Failed') return true;
  return !replacesOnlyFailed(job) && isDeleting(pod) && pod.status?.phase !== 'Succeeded';
}

/** The index of the pod, if it has one that is less than the Job's completions. */
export function completionIndex({ metadata }: Pod, { spec }: Job): number | undefined {
  const text = metadata?.annotations?.[indexAnnotation] ?? '';
  if (!/^\d+$/.test(text)) return undefined;
  const index = Number(text);
  return index < (spec?.completions ?? 0) ? index : undefined;
}

export const indexFailures = ({ metadata }: Pod): number =>
  Number(metadata?.annotations?.[indexFailuresAnnotation] ?? 0);

/** When the pod ended, as far as it says. */
export function endOf({ status, metadata }: Pod): number {
  let latest = 0;
  for (const { state } of [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])])
    latest = Math.max(latest, timeOf(state?.terminated?.finishedAt));
  if (latest > 0) return latest;
  if (metadata?.deletionTimestamp)
    return timeOf(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return timeOf(ready?.lastTransitionTime) || timeOf(metadata?.creationTimestamp);
}

/** The template of a new pod; of an Indexed Job it knows its index. */
export function jobTemplate(job: Job, index: number | undefined, failures: number | undefined): PodTemplateSpec {
  const template = structuredClone(job.spec?.template ?? {});
  const metadata = { ...template.metadata, finalizers: [...(template.metadata?.finalizers ?? []), trackingFinalizer] };
  if (index === undefined) return { ...template, metadata };
  const text = String(index);
  const fieldRef = { fieldPath: `metadata.labels['${indexAnnotation}']` };
  const named = <C extends { env?: { name: string }[] }>(container: C): C =>
    container.env?.some(({ name }) => name === indexVariable)
      ? container
      : { ...container, env: [...(container.env ?? []), { name: indexVariable, valueFrom: { fieldRef } }] };
  const { containers = [], initContainers, ...spec } = template.spec ?? { containers: [] };
  return {
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [indexAnnotation]: text },
      annotations: {
        ...metadata.annotations,
        [indexAnnotation]: text,
        ...(failures === undefined ? {} : { [indexFailuresAnnotation]: String(failures) }),
      },
    },
    spec: {
      ...spec,
      hostname: `${job.metadata?.name}-${text}`.slice(0, 63),
      containers: containers.map(named),
      ...(initContainers ? { initContainers: initContainers.map(named) } : {}),
    },
  };
}
