/** The Deployment controller: rolls pods from one ReplicaSet to the next. */
import { isDeepStrictEqual } from 'node:util';
import { findCondition } from '../../../../machinery/api/conditions.ts';
import { controllerOf, objectKey } from '../../../../machinery/api/owners.ts';
import { labelSelectorOf, matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type { Deployment, KubeObject, Pod, ReplicaSet } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import { deployments, pods, replicaSets } from '../../../../machinery/client/resources.ts';
import type { ResourceType } from '../../../../machinery/client/types.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { candidatesFor, claimObjects, controlledBy, indexByController } from '../pods/claim.ts';
import { isFinished } from '../pods/state.ts';
import { allSets, CurrentSets, type Rollout } from './current-set.ts';
import { nameOf, setsToCleanUp, withSizes } from './revisions.ts';
import {
  activeSets,
  currentSetReplicas,
  isRolling,
  maxSurge,
  proportionalSizes,
  replicasOf,
  type Scaling,
  shrinkOldSets,
  wasResized,
} from './rolling.ts';
import {
  countedStatus,
  type DeploymentStatus,
  deadlineCheckMs,
  hasDeadline,
  isComplete,
  progressing,
  rolloutStatus,
  setCondition,
} from './status.ts';

export const deploymentController: Controller = {
  name: 'deployment-controller',
  serviceAccount: 'deployment-controller',
  run: (context) => runDeployments(context),
};

async function runDeployments(context: ControllerContext): Promise<void> {
  const { client, informers, options } = context;
  const deploymentInformer = informers.informer(deployments);
  const setInformer = informers.informer(replicaSets);
  const podInformer = informers.informer(pods);
  indexByController(setInformer);
  indexByController(podInformer);
  const recorder = context.recorder('deployment-controller');
  const currentSets = new CurrentSets(client, recorder);
  const queue = createWorkQueue<string>();
  const enqueue = (deployment: Deployment) => queue.add(objectKey(deployment));

  const ownerOf = (object: KubeObject): Deployment | undefined => {
    const reference = controllerOf(object);
    if (reference?.kind !== 'Deployment') return undefined;
    const deployment = deploymentInformer.store.get(`${object.metadata?.namespace}/${reference.name}`);
    return deployment?.metadata?.uid === reference.uid ? deployment : undefined;
  };
  const enqueueOwner = (set: ReplicaSet) => {
    const owner = ownerOf(set);
    if (owner) enqueue(owner);
  };
  const offerOrphan = (set: ReplicaSet) => {
    for (const deployment of deploymentInformer.store.list())
      if (
        deployment.metadata?.namespace === set.metadata?.namespace &&
        matchesLabelSelector(deployment.spec?.selector, set.metadata?.labels)
      )
        enqueue(deployment);
  };
  deploymentInformer.addHandler({ onAdd: enqueue, onUpdate: (_old, deployment) => enqueue(deployment) });
  setInformer.addHandler({
    onAdd(set) {
      if (controllerOf(set) || set.metadata?.deletionTimestamp) enqueueOwner(set);
      else offerOrphan(set);
    },
    onUpdate(old, set) {
      if (old.metadata?.resourceVersion === set.metadata?.resourceVersion) return;
      const [before, after] = [controllerOf(old), controllerOf(set)];
      if (before && before.uid !== after?.uid) enqueueOwner(old);
      if (after) enqueueOwner(set);
      else if (before || !isDeepStrictEqual(old.metadata?.labels, set.metadata?.labels)) offerOrphan(set);
    },
    onDelete: enqueueOwner,
  });
  podInformer.addHandler({
    onDelete(pod) {
      // Recreate waits for the last old pod.
      const reference = controllerOf(pod);
      const set = reference && setInformer.store.get(`${pod.metadata?.namespace}/${reference.name}`);
      const deployment = set && ownerOf(set);
      if (deployment && !isRolling(deployment)) enqueue(deployment);
    },
  });

  async function writeStatus(deployment: Deployment, status: DeploymentStatus): Promise<void> {
    if (isDeepStrictEqual(status, deployment.status)) return;
    await client.resource(deployments).updateStatus({ ...deployment, status });
  }

  /** Answers whether anything but annotations changed. */
  async function applyScaling(deployment: Deployment, scalings: Scaling[]): Promise<boolean> {
    const desired = replicasOf(deployment);
    let scaled = false;
    for (const { set, replicas } of scalings) {
      const old = replicasOf(set);
      const annotations = withSizes(set.metadata?.annotations, desired, desired + maxSurge(deployment));
      if (!set.spec || (old === replicas && isDeepStrictEqual(annotations, set.metadata?.annotations))) continue;
      await client.resource(replicaSets).update({
        ...set,
        metadata: { ...set.metadata, annotations },
        spec: { ...set.spec, replicas },
      });
      if (old === replicas) continue;
      scaled = true;
      const message = `Scaled ${old < replicas ? 'up' : 'down'} replica set ${nameOf(set)} from ${old} to ${replicas}`;
      recorder.event(referenceTo(deployment, 'apps/v1', 'Deployment'), 'Normal', 'ScalingReplicaSet', message);
    }
    return scaled;
  }

  async function cleanUp({ deployment, oldSets }: Rollout): Promise<void> {
    for (const { metadata } of setsToCleanUp(deployment, oldSets)) {
      try {
        await client.resource(replicaSets).delete({ namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }

  async function syncRolloutStatus(rollout: Rollout): Promise<void> {
    const { deployment, current } = rollout;
    const status = rolloutStatus(deployment, current, allSets(rollout));
    const wait = deadlineCheckMs({ ...deployment, status }, status);
    if (wait !== undefined) queue.addAfter(objectKey(deployment), wait);
    await writeStatus(deployment, status);
  }

  /** Paused, or scaled: sizes follow, but nothing rolls. */
  async function syncSizes(found: Deployment, sets: ReplicaSet[]): Promise<void> {
    const rollout = await currentSets.sync(found, sets, false);
    const { deployment, current, oldSets } = rollout;
    await applyScaling(deployment, proportionalSizes(deployment, current, oldSets));
    if (deployment.spec?.paused) await cleanUp(rollout);
    await writeStatus(deployment, countedStatus(deployment, current, allSets(rollout)));
  }

  async function roll(found: Deployment, sets: ReplicaSet[]): Promise<void> {
    const rollout = await currentSets.sync(found, sets, true);
    const { deployment, current, oldSets } = rollout;
    if (current) {
      const desired = replicasOf(deployment);
      const size = replicasOf(current);
      const replicas = size > desired ? desired : currentSetReplicas(deployment, allSets(rollout), size);
      if (size !== desired && (await applyScaling(deployment, [{ set: current, replicas }])))
        return syncRolloutStatus(rollout);
    }
    if (await applyScaling(deployment, shrinkOldSets(deployment, current, oldSets))) return syncRolloutStatus(rollout);
    if (isComplete(deployment, deployment.status)) await cleanUp(rollout);
    await syncRolloutStatus(rollout);
  }

  async function recreate(found: Deployment, sets: ReplicaSet[]): Promise<void> {
    let rollout = await currentSets.sync(found, sets, false);
    const toZero = activeSets(rollout.oldSets).map((set) => ({ set, replicas: 0 }));
    if (await applyScaling(rollout.deployment, toZero)) return syncRolloutStatus(rollout);
    const oldPods = rollout.oldSets.flatMap((set): Pod[] => controlledBy(podInformer, set));
    if (oldPods.some((pod) => !isFinished(pod))) return syncRolloutStatus(rollout);
    if (!rollout.current) rollout = await currentSets.sync(rollout.deployment, sets, true);
    const { deployment, current } = rollout;
    if (current && replicasOf(current) !== replicasOf(deployment))
      await applyScaling(deployment, [{ set: current, replicas: replicasOf(deployment) }]);
    if (isComplete(deployment, deployment.status)) await cleanUp(rollout);
    await syncRolloutStatus(rollout);
  }

  await runReconciler(context, {
    queue,
    sources: [deploymentInformer, setInformer, podInformer],
    workers: options.concurrentDeploymentSyncs,
    async reconcile(key) {
      const cached = deploymentInformer.store.get(key);
      if (!cached) return;
      const { matchLabels, matchExpressions } = cached.spec?.selector ?? {};
      if (!Object.keys(matchLabels ?? {}).length && !matchExpressions?.length) {
        const message = 'This deployment is selecting all pods. A non-empty selector is required.';
        recorder.event(referenceTo(cached, 'apps/v1', 'Deployment'), 'Warning', 'SelectingAll', message);
        const { generation } = cached.metadata ?? {};
        if (generation && (cached.status?.observedGeneration ?? 0) < generation)
          await writeStatus(cached, { ...cached.status, observedGeneration: generation });
        return;
      }
      const sets = await claimObjects(candidatesFor(setInformer, cached), {
        client,
        owner: cached,
        ownerType: deployments as ResourceType<KubeObject>,
        type: replicaSets,
        selector: labelSelectorOf(cached.spec?.selector),
      });
      if (cached.metadata?.deletionTimestamp) {
        const rollout = await currentSets.sync(cached, sets, false);
        const status = countedStatus(rollout.deployment, rollout.current, allSets(rollout));
        return writeStatus(rollout.deployment, status);
      }
      const deployment = await markPaused(cached);
      if (deployment.spec?.paused || wasResized(deployment, sets)) return syncSizes(deployment, sets);
      return isRolling(deployment) ? roll(deployment, sets) : recreate(deployment, sets);
    },
  });

  /** A paused rollout has no deadline: the condition says so, and says when it goes on. */
  async function markPaused(deployment: Deployment): Promise<Deployment> {
    if (!hasDeadline(deployment)) return deployment;
    const condition = findCondition(deployment.status?.conditions, 'Progressing');
    if (condition?.reason === 'ProgressDeadlineExceeded') return deployment;
    const paused = condition?.reason === 'DeploymentPaused';
    if (paused === Boolean(deployment.spec?.paused)) return deployment;
    const next = paused
      ? progressing('Unknown', 'DeploymentResumed', 'Deployment is resumed')
      : progressing('Unknown', 'DeploymentPaused', 'Deployment is paused');
    const conditions = setCondition(deployment.status?.conditions, next);
    return client.resource(deployments).updateStatus({ ...deployment, status: { ...deployment.status, conditions } });
  }
}
