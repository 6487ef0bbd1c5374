/** A Deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure. */
import { findCondition, withoutCondition } from '../../../../machinery/api/conditions.ts';
import { formatTime, timeOf } from '../../../../machinery/api/time.ts';
import type { Deployment, ReplicaSet } from '../../../../machinery/api/types.ts';
import { nameOf } from './revisions.ts';
import { maxUnavailable, replicasOf, totalReplicas } from './rolling.ts';

export type DeploymentStatus = NonNullable<Deployment['status']>;
export type DeploymentCondition = NonNullable<DeploymentStatus['conditions']>[number];

/** Unchanged when status and reason are: messages alone are no news. Otherwise it goes to the end of the list. */
export function setCondition(
  conditions: DeploymentCondition[] | undefined,
  { type, status, reason, message }: Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>,
  now = Date.now(),
): DeploymentCondition[] {
  const old = findCondition(conditions, type);
  if (old && old.status === status && old.reason === reason) return conditions ?? [];
  const time = formatTime(new Date(now));
  const lastTransitionTime = old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : time;
  const condition = {
    type,
    status,
    lastUpdateTime: time,
    lastTransitionTime,
    ...(reason ? { reason } : {}),
    ...(message ? { message } : {}),
  };
  return [...withoutCondition(conditions, type), condition];
}

export const hasDeadline = ({ spec }: Deployment): boolean =>
  spec?.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== 2_147_483_647;

export const progressing = (status: string, reason: string, message: string) => ({
  type: 'Progressing',
  status,
  reason,
  message,
});

export function countedStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  sets: ReplicaSet[],
  now = Date.now(),
): DeploymentStatus {
  const sum = (count: (set: ReplicaSet) => number | undefined): number =>
    sets.reduce((total, set) => total + (count(set) ?? 0), 0);
  const replicas = sum(({ status }) => status?.replicas);
  const updated = current?.status?.replicas ?? 0;
  const ready = sum(({ status }) => status?.readyReplicas);
  const available = sum(({ status }) => status?.availableReplicas);
  const unavailable = Math.max(0, totalReplicas(sets) - available);
  const terminating = sets.every(({ status }) => status?.terminatingReplicas !== undefined)
    ? sum(({ status }) => status?.terminatingReplicas)
    : undefined;
  const enough = available >= replicasOf(deployment) - maxUnavailable(deployment);
  const { conditions, collisionCount } = deployment.status ?? {};
  return {
    ...(deployment.metadata?.generation ? { observedGeneration: deployment.metadata.generation } : {}),
    ...(replicas ? { replicas } : {}),
    ...(updated ? { updatedReplicas: updated } : {}),
    ...(ready ? { readyReplicas: ready } : {}),
    ...(available ? { availableReplicas: available } : {}),
    ...(unavailable ? { unavailableReplicas: unavailable } : {}),
    ...(terminating === undefined ? {} : { terminatingReplicas: terminating }),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: setCondition(
      conditions,
      enough
        ? {
            type: 'Available',
            status: 'True',
            reason: 'MinimumReplicasAvailable',
            message: 'Deployment has minimum availability.',
          }
        : {
            type: 'Available',
            status: 'False',
            reason: 'MinimumReplicasUnavailable',
            message: 'Deployment does not have minimum availability.',
          },
      now,
    ),
  };
}

export function isComplete(deployment: Deployment, status: DeploymentStatus | undefined): boolean {
  const desired = replicasOf(deployment);
  return (
    (status?.updatedReplicas ?? 0) === desired &&
    (status?.replicas ?? 0) === desired &&
    (status?.availableReplicas ?? 0) === desired &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

function madeProgress(before: DeploymentStatus | undefined, after: DeploymentStatus): boolean {
  const count = (status: DeploymentStatus | undefined) => {
    const { replicas = 0, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {};
    return { updatedReplicas, old: replicas - updatedReplicas, readyReplicas, availableReplicas };
  };
  const [old, now] = [count(before), count(after)];
  return (
    now.updatedReplicas > old.updatedReplicas ||
    now.old < old.old ||
    now.readyReplicas > old.readyReplicas ||
    now.availableReplicas > old.availableReplicas
  );
}

function timedOut(deployment: Deployment, status: DeploymentStatus, now: number): boolean {
  const condition = findCondition(status.conditions, 'Progressing');
  if (!hasDeadline(deployment) || !condition || condition.reason === 'NewReplicaSetAvailable') return false;
  if (condition.reason === 'ProgressDeadlineExceeded') return true;
  return timeOf(condition.lastUpdateTime) + (deployment.spec?.progressDeadlineSeconds ?? 0) * 1000 < now;
}

/** The status during and after a rollout: with the conditions on progress and on failures of the sets. */
export function rolloutStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  sets: ReplicaSet[],
  now = Date.now(),
): DeploymentStatus {
  const status = countedStatus(deployment, current, sets, now);
  let conditions = status.conditions ?? [];
  if (!hasDeadline(deployment)) conditions = withoutCondition(conditions, 'Progressing');
  const old = findCondition(deployment.status?.conditions, 'Progressing');
  const wasComplete =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && old?.reason === 'NewReplicaSetAvailable';
  if (hasDeadline(deployment) && !wasComplete) {
    const what = current ? `ReplicaSet "${nameOf(current)}"` : `Deployment "${nameOf(deployment)}"`;
    if (isComplete(deployment, status))
      conditions = setCondition(
        conditions,
        progressing('True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`),
        now,
      );
    else if (madeProgress(deployment.status, status)) {
      // The time of the last progress moves even though the reason stays.
      const next = setCondition([], progressing('True', 'ReplicaSetUpdated', `${what} is progressing.`), now)[0];
      if (next && old?.status === 'True' && old.lastTransitionTime) next.lastTransitionTime = old.lastTransitionTime;
      conditions = [...withoutCondition(conditions, 'Progressing'), ...(next ? [next] : [])];
    } else if (timedOut(deployment, { ...status, conditions }, now))
      conditions = setCondition(
        conditions,
        progressing('False', 'ProgressDeadlineExceeded', `${what} has timed out progressing.`),
        now,
      );
  }
  const failure = setFailure(current, sets);
  conditions = failure ? setCondition(conditions, failure, now) : withoutCondition(conditions, 'ReplicaFailure');
  return { ...status, conditions };
}

function setFailure(current: ReplicaSet | undefined, sets: ReplicaSet[]) {
  for (const set of current ? [current, ...sets] : sets) {
    const condition = findCondition(set.status?.conditions, 'ReplicaFailure');
    if (condition) return { ...condition, type: 'ReplicaFailure' };
  }
  return undefined;
}

/** Milliseconds until the progress deadline must be looked at; undefined when it need not. */
export function deadlineCheckMs(
  deployment: Deployment,
  status: DeploymentStatus,
  now = Date.now(),
): number | undefined {
  const condition = findCondition(deployment.status?.conditions, 'Progressing');
  if (!hasDeadline(deployment) || !condition) return undefined;
  if (isComplete(deployment, status) || condition.reason === 'ProgressDeadlineExceeded') return undefined;
  if (condition.reason === 'NewReplicaSetAvailable') return undefined;
  const left = timeOf(condition.lastUpdateTime) + (deployment.spec?.progressDeadlineSeconds ?? 0) * 1000 - now;
  return Math.max(1000, left + 1000);
}
