/** Finds, updates or creates the ReplicaSet of a Deployment's current template. */

import { templateHash } from '../../../../machinery/api/hash.ts';
import { controllerReference, isControlledBy } from '../../../../machinery/api/owners.ts';
import type { Deployment, ReplicaSet } from '../../../../machinery/api/types.ts';
import { isAlreadyExists } from '../../../../machinery/client/errors.ts';
import { deployments, replicaSets } from '../../../../machinery/client/resources.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../../machinery/events/recorder.ts';
import { isNamespaceTerminating, messageOf } from '../../framework/failures.ts';
import {
  currentSet,
  currentSetAnnotations,
  hashLabel,
  highestRevision,
  nameOf,
  revisionAnnotation,
  sameTemplate,
  withSizes,
} from './revisions.ts';
import { currentSetReplicas, maxSurge, replicasOf } from './rolling.ts';
import { type DeploymentStatus, hasDeadline, progressing, setCondition } from './status.ts';

export interface Rollout {
  deployment: Deployment;
  current: ReplicaSet | undefined;
  oldSets: ReplicaSet[];
}

export const allSets = ({ current, oldSets }: Rollout): ReplicaSet[] => (current ? [...oldSets, current] : oldSets);

/** The name keeps the hash whole. */
const setName = (deployment: Deployment, hash: string): string =>
  `${nameOf(deployment).slice(0, 253 - hash.length - 1)}-${hash}`;

/** The set as it is to be created; its size depends on what the old sets leave free. */
export function newSet(deployment: Deployment, oldSets: ReplicaSet[], revision: number): ReplicaSet {
  const template = structuredClone(deployment.spec?.template ?? {});
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const { matchLabels, matchExpressions } = deployment.spec?.selector ?? {};
  const minReadySeconds = deployment.spec?.minReadySeconds;
  const desired = replicasOf(deployment);
  return {
    metadata: {
      name: setName(deployment, hash),
      namespace: deployment.metadata?.namespace ?? '',
      labels: { ...labels },
      annotations: withSizes(
        currentSetAnnotations(deployment, {}, revision, false),
        desired,
        desired + maxSurge(deployment),
      ),
      ownerReferences: [controllerReference(deployment, deployments)],
    },
    spec: {
      replicas: currentSetReplicas(deployment, oldSets, 0),
      ...(minReadySeconds ? { minReadySeconds } : {}),
      selector: {
        matchLabels: { ...matchLabels, [hashLabel]: hash },
        ...(matchExpressions ? { matchExpressions } : {}),
      },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

export class CurrentSets {
  readonly #client: Client;
  readonly #recorder: EventRecorder;

  constructor(client: Client, recorder: EventRecorder) {
    this.#client = client;
    this.#recorder = recorder;
  }

  /** Splits the sets into the current one and the old ones; brings revisions up to date. */
  async sync(deployment: Deployment, sets: ReplicaSet[], create: boolean): Promise<Rollout> {
    const found = currentSet(deployment, sets);
    const oldSets = sets.filter((set) => set !== found);
    const revision = highestRevision(oldSets) + 1;
    if (found) {
      const current = await this.#updated(deployment, found, revision);
      const message = `Found new replica set "${nameOf(current)}"`;
      const known = deployment.status?.conditions?.some(({ type }) => type === 'Progressing');
      const next = await this.#recorded(
        deployment,
        current.metadata?.annotations?.[revisionAnnotation] ?? '',
        hasDeadline(deployment) && !known ? progressing('True', 'FoundNewReplicaSet', message) : undefined,
      );
      return { deployment: next, current, oldSets };
    }
    if (!create) return { deployment, current: undefined, oldSets };
    return this.#create(deployment, oldSets, revision);
  }

  async #updated(deployment: Deployment, set: ReplicaSet, revision: number): Promise<ReplicaSet> {
    const before = set.metadata?.annotations ?? {};
    const annotations = currentSetAnnotations(deployment, before, revision, true);
    const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
    const changed = Object.entries(annotations).some(([key, value]) => before[key] !== value);
    if (!set.spec || (!changed && (set.spec.minReadySeconds ?? 0) === minReadySeconds)) return set;
    return this.#client.resource(replicaSets).update({
      ...set,
      metadata: { ...set.metadata, annotations },
      spec: { ...set.spec, minReadySeconds },
    });
  }

  async #create(deployment: Deployment, oldSets: ReplicaSet[], revision: number): Promise<Rollout> {
    const wanted = newSet(deployment, oldSets, revision);
    const name = nameOf(wanted);
    const about = referenceTo(deployment, 'apps/v1', 'Deployment');
    let current: ReplicaSet;
    let isNew = true;
    try {
      current = await this.#client.resource(replicaSets).create(wanted);
    } catch (error) {
      if (isAlreadyExists(error)) {
        current = await this.#existing(deployment, wanted);
        isNew = false;
      } else {
        if (!isNamespaceTerminating(error)) {
          const message = `Failed to create new replica set "${name}": ${messageOf(error)}`;
          if (hasDeadline(deployment))
            await this.#recorded(deployment, undefined, progressing('False', 'ReplicaSetCreateError', message));
          this.#recorder.event(about, 'Warning', 'ReplicaSetCreateError', message);
        }
        throw error;
      }
    }
    const replicas = replicasOf(current);
    if (isNew && replicas > 0)
      this.#recorder.event(about, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${replicas}`);
    const next = await this.#recorded(
      deployment,
      String(revision),
      isNew && hasDeadline(deployment)
        ? progressing('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`)
        : undefined,
    );
    return { deployment: next, current, oldSets };
  }

  /** The cache is behind, or the hash of another template is the same: then the next try uses another hash. */
  async #existing(deployment: Deployment, wanted: ReplicaSet): Promise<ReplicaSet> {
    const { namespace = '', name = '' } = wanted.metadata ?? {};
    const found = await this.#client.resource(replicaSets).get({ namespace, name });
    if (isControlledBy(found, deployment) && sameTemplate(found.spec?.template, deployment.spec?.template))
      return found;
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    await this.#client.resource(deployments).updateStatus({
      ...deployment,
      status: { ...deployment.status, collisionCount },
    });
    throw new Error(`hash collision: replica set ${namespace}/${name} exists with another template`);
  }

  /** Writes the Deployment's revision and condition where they are new. */
  async #recorded(
    deployment: Deployment,
    revision: string | undefined,
    condition: ReturnType<typeof progressing> | undefined,
  ): Promise<Deployment> {
    const before = deployment.metadata?.annotations;
    const annotations =
      revision === undefined || before?.[revisionAnnotation] === revision
        ? before
        : { ...before, [revisionAnnotation]: revision };
    if (annotations === before && !condition) return deployment;
    const conditions = condition && setCondition(deployment.status?.conditions, condition);
    const status: DeploymentStatus = { ...deployment.status, ...(conditions ? { conditions } : {}) };
    const metadata = { ...deployment.metadata, ...(annotations ? { annotations } : {}) };
    return this.#client.resource(deployments).updateStatus({ ...deployment, metadata, status });
  }
}
