/** Keeps as many pods as `spec.replicas` says: the controller of ReplicaSets, and of ReplicationControllers with other types. */
import { isDeepStrictEqual } from 'node:util';
import { controllerOf, objectKey } from '../../../../machinery/api/owners.ts';
import { type MaybeSelector, matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { KubeObject, Pod } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { pods } from '../../../../machinery/client/resources.ts';
import type { ResourceType } from '../../../../machinery/client/types.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { ControllerContext } from '../../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../../framework/failures.ts';
import { LatestWritten } from '../../framework/latest-written.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { candidatesFor, claimObjects, controlledBy, indexByController } from '../pods/claim.ts';
import { Expectations } from '../pods/expectations.ts';
import { createPodControl, podFromTemplate } from '../pods/pod-control.ts';
import { watchPods } from '../pods/pod-events.ts';
import { podsToDelete } from '../pods/ranking.ts';
import { slowStart } from '../pods/slow-start.ts';
import { isActive, isTerminating, nextAvailabilityMs } from '../pods/state.ts';
import { type ReplicaSpec, type ReplicaStatus, replicaStatus } from './status.ts';

/** Creations or deletions in one go. */
const burst = 500;

export interface ReplicaOwner extends KubeObject {
  spec?: ReplicaSpec;
  status?: ReplicaStatus;
}

export interface ReplicaKind<T extends ReplicaOwner> {
  type: ResourceType<T>;
  /** Of the events. */
  component: string;
  selectorOf(owner: T): MaybeSelector;
  /** Whether `status.terminatingReplicas` exists. */
  reportsTerminating: boolean;
  workers: number;
}

export async function runReplicaController<T extends ReplicaOwner>(context: ControllerContext, kind: ReplicaKind<T>) {
  const { client, informers } = context;
  const { type, selectorOf } = kind;
  const ownerInformer = informers.informer(type);
  const podInformer = informers.informer(pods);
  indexByController(ownerInformer);
  indexByController(podInformer);
  const queue = createWorkQueue<string>();
  const expectations = new Expectations();
  const latest = new LatestWritten<T>();
  const control = createPodControl(client, context.recorder(kind.component), type);

  ownerInformer.addHandler({
    onAdd: (owner) => queue.add(objectKey(owner)),
    onUpdate(old, owner) {
      // Deleted and made again under the same name while nobody looked.
      if (old.metadata?.uid !== owner.metadata?.uid) expectations.forget(objectKey(old));
      queue.add(objectKey(owner));
    },
    onDelete(owner) {
      expectations.forget(objectKey(owner));
      queue.add(objectKey(owner));
    },
  });
  const owners = {
    resolve(namespace: string, ref: { kind: string; name: string; uid: string }) {
      if (ref.kind !== type.kind) return undefined;
      const owner = ownerInformer.store.get(`${namespace}/${ref.name}`);
      return owner?.metadata?.uid === ref.uid ? owner : undefined;
    },
    matching: (pod: Pod) =>
      ownerInformer.store
        .list()
        .filter(
          (owner) =>
            owner.metadata?.namespace === pod.metadata?.namespace &&
            matchesSelector(selectorOf(owner), pod.metadata?.labels),
        ),
  };
  watchPods(podInformer, {
    ...owners,
    enqueue: (owner) => queue.add(objectKey(owner)),
    created: (owner) => expectations.creationObserved(objectKey(owner)),
    deleted: (owner, pod) => expectations.deletionObserved(objectKey(owner), objectKey(pod)),
  });

  /** Pods of all sets with the same controller (the ReplicaSets of one Deployment). */
  const relatedPods = (owner: T): Pod[] => {
    const above = controllerOf(owner);
    if (!above) return controlledBy(podInformer, owner);
    const siblings = controlledBy(ownerInformer, { metadata: { uid: above.uid } });
    return siblings.flatMap((sibling) => controlledBy(podInformer, sibling));
  };

  async function createMissing(key: string, owner: T, missing: number): Promise<Error | undefined> {
    const count = Math.min(missing, burst);
    expectations.expectCreations(key, count);
    const { succeeded, error } = await slowStart(count, async () => {
      try {
        await control.create(podFromTemplate(owner.spec?.template, owner, type), owner);
      } catch (failure) {
        if (!isNamespaceTerminating(failure)) throw failure;
        expectations.creationObserved(key);
      }
    });
    // What failed and what was not tried will never show in the cache.
    expectations.creationObserved(key, count - succeeded);
    return error;
  }

  async function deleteSurplus(key: string, owner: T, active: Pod[], surplus: number): Promise<Error | undefined> {
    const victims = podsToDelete(active, relatedPods(owner), Math.min(surplus, burst));
    expectations.expectDeletions(key, victims.map(objectKey));
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          if (!(await control.remove(pod, owner))) expectations.deletionObserved(key, objectKey(pod));
        } catch (error) {
          expectations.deletionObserved(key, objectKey(pod));
          throw error;
        }
      }),
    );
    return results.find((result) => result.status === 'rejected')?.reason as Error | undefined;
  }

  async function writeStatus(owner: T, status: ReplicaStatus): Promise<void> {
    for (let current = owner, attempt = 0; ; attempt += 1) {
      const { observedGeneration, ...rest } = current.status ?? ({ replicas: -1 } as ReplicaStatus);
      const { observedGeneration: _old, ...wanted } = status;
      const generation = owner.metadata?.generation ?? 0;
      if (isDeepStrictEqual(rest, wanted) && observedGeneration === generation) return;
      try {
        const next = { ...current, status: { ...wanted, observedGeneration: generation } };
        latest.wrote(await client.resource(type).updateStatus(next));
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt > 0) throw error;
        const { namespace = '', name = '' } = owner.metadata ?? {};
        current = await client.resource(type).get({ namespace, name });
      }
    }
  }

  await runReconciler(context, {
    queue,
    sources: [ownerInformer, podInformer],
    workers: kind.workers,
    async reconcile(key) {
      const cached = ownerInformer.store.get(key);
      if (!cached) {
        expectations.forget(key);
        latest.forget(key);
        return;
      }
      const owner = latest.of(cached);
      const cacheIsCurrent = expectations.satisfied(key);
      const claimed = await claimObjects(candidatesFor(podInformer, owner), {
        client,
        owner,
        ownerType: type as ResourceType<KubeObject>,
        type: pods,
        selector: selectorOf(owner),
      });
      const active = claimed.filter(isActive);
      let failure: Error | undefined;
      if (cacheIsCurrent && !owner.metadata?.deletionTimestamp) {
        const difference = active.length - (owner.spec?.replicas ?? 1);
        if (difference < 0) failure = await createMissing(key, owner, -difference);
        else if (difference > 0) failure = await deleteSurplus(key, owner, active, difference);
      }
      const seen = {
        spec: owner.spec,
        old: owner.status,
        generation: owner.metadata?.generation,
        active,
        terminating: kind.reportsTerminating ? claimed.filter(isTerminating).length : undefined,
        failure,
      };
      await writeStatus(owner, replicaStatus(seen, messageOf));
      if (failure) throw failure;
      const wait = nextAvailabilityMs(active, owner.spec?.minReadySeconds);
      if (wait !== undefined) queue.addAfter(key, wait + 10);
    },
  });
}
