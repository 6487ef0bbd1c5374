/** The StatefulSet controller: pods with names and volumes of their own, made and replaced in order. */
import { isDeepStrictEqual } from 'node:util';
import { isControlledBy, objectKey } from '../../../../machinery/api/owners.ts';
import { labelSelectorOf, matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type { ControllerRevision, KubeObject, Pod, StatefulSet } from '../../../../machinery/api/types.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import {
  controllerRevisions,
  persistentVolumeClaims,
  pods,
  statefulSets,
} from '../../../../machinery/client/resources.ts';
import type { ResourceType } from '../../../../machinery/client/types.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../../framework/failures.ts';
import { LatestWritten } from '../../framework/latest-written.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { candidatesFor, claimObjects, indexByController } from '../pods/claim.ts';
import { watchPods } from '../pods/pod-events.ts';
import { nextAvailabilityMs } from '../pods/state.ts';
import {
  byRevision,
  dataHash,
  deleteRevisions,
  highestRevision,
  newRevision,
  revisionsToCleanUp,
  sameData,
  templatePatch,
} from '../revisions/history.ts';
import { PodClaims } from './claims.ts';
import { ordinalOf, podName, statefulPod, withIdentity } from './identity.ts';
import {
  planStatefulSet,
  type Revisions,
  revisionNameOf,
  type StatefulStatus,
  type Step,
  statefulStatus,
} from './plan.ts';

const hashLabel = 'controller.kubernetes.io/hash';

export const statefulSetController: Controller = {
  name: 'statefulset-controller',
  serviceAccount: 'statefulset-controller',
  run: (context) => runStatefulSets(context),
};

async function runStatefulSets(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const setInformer = informers.informer(statefulSets);
  const podInformer = informers.informer(pods);
  const revisionInformer = informers.informer(controllerRevisions);
  const claimInformer = informers.informer(persistentVolumeClaims);
  indexByController(podInformer);
  indexByController(revisionInformer);
  const recorder = context.recorder('statefulset-controller');
  const claims = new PodClaims(client, claimInformer, recorder);
  const queue = createWorkQueue<string>();
  const latest = new LatestWritten<StatefulSet>();
  const enqueue = (set: StatefulSet) => queue.add(objectKey(set));
  setInformer.addHandler({ onAdd: enqueue, onUpdate: (_old, set) => enqueue(set), onDelete: enqueue });
  watchPods(podInformer, {
    resolve(namespace, reference) {
      if (reference.kind !== 'StatefulSet') return undefined;
      const set = setInformer.store.get(`${namespace}/${reference.name}`);
      return set?.metadata?.uid === reference.uid ? set : undefined;
    },
    matching: ({ metadata }) =>
      setInformer.store
        .list()
        .filter(
          (set) =>
            set.metadata?.namespace === metadata?.namespace &&
            matchesLabelSelector(set.spec?.selector, metadata?.labels),
        ),
    enqueue,
  });

  const claimed = <T extends KubeObject>(set: StatefulSet, type: ResourceType<T>, candidates: T[]) =>
    claimObjects(candidates, {
      client,
      owner: set,
      ownerType: statefulSets as ResourceType<KubeObject>,
      type,
      selector: labelSelectorOf(set.spec?.selector),
    });

  async function revisionsOf(set: StatefulSet) {
    const all = (await claimed(set, controllerRevisions, candidatesFor(revisionInformer, set))).sort(byRevision);
    const data = templatePatch(set.spec?.template);
    const equal = all.filter((revision) => sameData(revision.data, data)).at(-1);
    let collisionCount = set.status?.collisionCount ?? 0;
    let update: ControllerRevision;
    if (equal && equal === all.at(-1)) update = equal;
    else if (equal)
      update = await client.resource(controllerRevisions).update({ ...equal, revision: highestRevision(all) + 1 });
    else ({ update, collisionCount } = await createRevision(set, data, highestRevision(all) + 1, collisionCount));
    const current = all.find(({ metadata }) => metadata?.name === set.status?.currentRevision) ?? update;
    return { revisions: { current, update }, all, collisionCount };
  }

  /** Another template with the same hash makes the name taken: then the next hash is tried. */
  async function createRevision(set: StatefulSet, data: object, revision: number, collisions: number) {
    const resource = client.resource(controllerRevisions);
    for (let collisionCount = collisions; ; collisionCount += 1) {
      const wanted = newRevision({
        owner: set,
        ownerType: statefulSets,
        hash: dataHash(data, collisionCount),
        hashLabel,
        labels: set.spec?.template.metadata?.labels,
        data,
        revision,
      });
      try {
        return { update: await resource.create(wanted), collisionCount };
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        const { namespace = '', name = '' } = wanted.metadata ?? {};
        const existing = await resource.get({ namespace, name });
        if (sameData(existing.data, data) && isControlledBy(existing, set)) return { update: existing, collisionCount };
      }
    }
  }

  const tell = (set: StatefulSet, verb: 'create' | 'delete' | 'update', pod: string, error?: unknown) => {
    const about = referenceTo(set, 'apps/v1', 'StatefulSet');
    const title = verb.charAt(0).toUpperCase() + verb.slice(1);
    const what = `${verb} Pod ${pod} in StatefulSet ${set.metadata?.name}`;
    if (!error) recorder.event(about, 'Normal', `Successful${title}`, `${what} successful`);
    else recorder.event(about, 'Warning', `Failed${title}`, `${what} failed error: ${messageOf(error)}`);
  };

  async function carryOut(set: StatefulSet, step: Step): Promise<void> {
    const podClient = client.resource(pods);
    if (step.action === 'create') {
      const name = podName(set, step.ordinal);
      try {
        await claims.createMissing(set, step.ordinal, name);
        await podClient.create(statefulPod(set, step.revision, step.ordinal));
      } catch (error) {
        // There already: the cache will show it.
        if (isAlreadyExists(error) || isNamespaceTerminating(error)) return;
        tell(set, 'create', name, error);
        throw error;
      }
      return tell(set, 'create', name);
    }
    const { namespace = '', name = '', uid = '' } = step.pod.metadata ?? {};
    if (step.action === 'correct') {
      await claims.createMissing(set, step.ordinal, name);
      try {
        await podClient.update(withIdentity(set, step.pod, step.ordinal));
      } catch (error) {
        if (!isConflict(error)) tell(set, 'update', name, error);
        throw error;
      }
      return tell(set, 'update', name);
    }
    if (step.reason === 'failed') {
      const [reason, state] =
        step.pod.status?.phase === 'Failed'
          ? ['RecreatingFailedPod', 'failed']
          : ['RecreatingTerminatedPod', 'terminated'];
      const message = `StatefulSet ${namespace}/${set.metadata?.name} is recreating ${state} Pod ${name}`;
      const type = state === 'failed' ? 'Warning' : 'Normal';
      recorder.event(referenceTo(set, 'apps/v1', 'StatefulSet'), type, reason, message);
    }
    if (step.reason === 'scaled down') await claims.syncOwners(set, step.pod);
    try {
      await podClient.delete({ namespace, name }, { preconditions: { uid } });
    } catch (error) {
      // Gone, or replaced by one of the same name that the cache does not show yet.
      if (isNotFound(error) || isConflict(error)) return;
      tell(set, 'delete', name, error);
      throw error;
    }
    tell(set, 'delete', name);
  }

  async function writeStatus(set: StatefulSet, status: StatefulStatus): Promise<void> {
    for (let current = set, attempt = 0; ; attempt += 1) {
      if (isDeepStrictEqual(status, current.status)) return;
      try {
        latest.wrote(await client.resource(statefulSets).updateStatus({ ...current, status }));
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt > 0) throw error;
        const { namespace = '', name = '' } = set.metadata ?? {};
        current = await client.resource(statefulSets).get({ namespace, name });
      }
    }
  }

  await runReconciler(context, {
    queue,
    sources: [setInformer, podInformer, revisionInformer, claimInformer],
    workers: 5,
    async reconcile(key) {
      const cached = setInformer.store.get(key);
      if (!cached) return latest.forget(key);
      const set = latest.of(cached);
      const own = await claimed(
        set,
        pods,
        candidatesFor(podInformer, set).filter((pod) => ordinalOf(set, pod) >= 0),
      );
      const { revisions, all, collisionCount } = await revisionsOf(set);
      // Owners first: when the set goes, its claims must know whether they go too.
      for (const pod of own) await claims.syncOwners(set, pod);
      const steps = planStatefulSet(set, own, revisions);
      const results = await Promise.allSettled(steps.map((step) => carryOut(set, step)));
      const failure = results.find((result) => result.status === 'rejected')?.reason as Error | undefined;
      await writeStatus(set, statefulStatus(set, own, revisions, collisionCount));
      await deleteRevisions(client, unusedRevisions(set, all, revisions, own));
      if (failure) throw failure;
      const wait = nextAvailabilityMs(own, set.spec?.minReadySeconds);
      if (wait !== undefined) queue.addAfter(key, wait + 10);
    },
  });
}

function unusedRevisions(set: StatefulSet, all: ControllerRevision[], { current, update }: Revisions, own: Pod[]) {
  const live = new Set([current.metadata?.name, update.metadata?.name, ...own.map(revisionNameOf)]);
  const old = all.filter(({ metadata }) => !live.has(metadata?.name));
  return revisionsToCleanUp(old, set.spec?.revisionHistoryLimit ?? 10, () => false);
}
