/** Which ReplicaSet is a Deployment's current one, and the annotations that number its revisions. */
import { stableJson } from '../../../../machinery/api/hash.ts';
import { timeOf } from '../../../../machinery/api/time.ts';
import type { Deployment, ObjectMeta, PodTemplateSpec, ReplicaSet } from '../../../../machinery/api/types.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
]);
const historyLimit = 2000;

export type Annotations = Record<string, string>;

export const created = ({ metadata }: ReplicaSet): number => timeOf(metadata?.creationTimestamp);
export const nameOf = (object: { metadata?: ObjectMeta }): string => object.metadata?.name ?? '';
export const byCreation = (a: ReplicaSet, b: ReplicaSet): number =>
  created(a) - created(b) || (nameOf(a) < nameOf(b) ? -1 : 1);

/** Templates without the label that only ReplicaSets have. */
function comparable(template: PodTemplateSpec | undefined): string {
  const { [hashLabel]: _hash, ...labels } = template?.metadata?.labels ?? {};
  const { creationTimestamp: _created, labels: _labels, ...metadata } = template?.metadata ?? {};
  return stableJson({ metadata: { ...metadata, labels }, spec: template?.spec });
}

export const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  comparable(a) === comparable(b);

/** The oldest set with the Deployment's template: there can be more when a hash collision was resolved twice. */
export function currentSet(deployment: Deployment, sets: ReplicaSet[]): ReplicaSet | undefined {
  const template = comparable(deployment.spec?.template);
  return [...sets].sort(byCreation).find((set) => comparable(set.spec?.template) === template);
}

export function revisionOf({ metadata }: { metadata?: ObjectMeta }): number {
  const text = metadata?.annotations?.[revisionAnnotation] ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
}

export const highestRevision = (sets: ReplicaSet[]): number =>
  sets.reduce((highest, set) => Math.max(highest, revisionOf(set)), 0);

/**
 * The annotations that a Deployment's current set should have: the Deployment's own, and the revision with its history.
 * @param exists an existing set that gets a higher revision is one that was rolled back to: its old number goes to the history
 */
export function currentSetAnnotations(
  deployment: Deployment,
  annotations: Annotations,
  revision: number,
  exists: boolean,
): Annotations {
  const next = { ...annotations };
  for (const [key, value] of Object.entries(deployment.metadata?.annotations ?? {}))
    if (!notCopied.has(key)) next[key] = value;
  const old = annotations[revisionAnnotation] ?? '';
  if (old !== '' && !/^\d+$/.test(old)) return next;
  if (Number(old || 0) >= revision) return next;
  next[revisionAnnotation] = String(revision);
  if (exists && old !== '') {
    const history = annotations[revisionHistoryAnnotation];
    const revisions = history ? history.split(',') : [];
    while (revisions.length > 0 && [...revisions, old].join(',').length > historyLimit) revisions.shift();
    next[revisionHistoryAnnotation] = [...revisions, old].join(',');
  }
  return next;
}

/** With the sizes that a later proportional scaling starts from. */
export const withSizes = (annotations: Annotations | undefined, desired: number, max: number): Annotations => ({
  ...annotations,
  [desiredReplicasAnnotation]: String(desired),
  [maxReplicasAnnotation]: String(max),
});

export function sizeAnnotation(set: ReplicaSet, name: string): number | undefined {
  const text = set.metadata?.annotations?.[name];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Old sets beyond the limit that have no pods any more, oldest revision first. */
export function setsToCleanUp(deployment: Deployment, oldSets: ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec?.revisionHistoryLimit;
  if (limit === undefined || limit === 2_147_483_647) return [];
  const alive = oldSets.filter(({ metadata }) => !metadata?.deletionTimestamp);
  return alive
    .sort((a, b) => revisionOf(a) - revisionOf(b) || byCreation(a, b))
    .slice(0, Math.max(0, alive.length - limit))
    .filter(
      ({ metadata, spec, status }) =>
        !status?.replicas && !spec?.replicas && (metadata?.generation ?? 0) <= (status?.observedGeneration ?? 0),
    );
}
