/** The DaemonSet controller: a pod on every node that the template allows. */
import { isDeepStrictEqual } from 'node:util';
import { templateHash } from '../../../../machinery/api/hash.ts';
import { isControlledBy, objectKey } from '../../../../machinery/api/owners.ts';
import { labelSelectorOf, matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type { ControllerRevision, DaemonSet, KubeObject, Node, Pod } from '../../../../machinery/api/types.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { controllerRevisions, daemonSets, nodes, pods } from '../../../../machinery/client/resources.ts';
import type { ResourceType } from '../../../../machinery/client/types.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { isNamespaceTerminating } from '../../framework/failures.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { Backoff } from '../pods/backoff.ts';
import { candidatesFor, claimObjects, indexByController } from '../pods/claim.ts';
import { Expectations } from '../pods/expectations.ts';
import { createPodControl, podFromTemplate } from '../pods/pod-control.ts';
import { watchPods } from '../pods/pod-events.ts';
import { slowStart } from '../pods/slow-start.ts';
import { nextAvailabilityMs } from '../pods/state.ts';
import {
  deleteRevisions,
  highestRevision,
  newRevision,
  revisionHashLabel,
  revisionsToCleanUp,
  sameData,
  templatePatch,
} from '../revisions/history.ts';
import { daemonTemplate, placementOn } from './placement.ts';
import { type DaemonPlan, daemonStatus, type PodsByNode, planPlacement, planRollout, podsByNode } from './plan.ts';

const burst = 250;
const apiVersion = 'apps/v1';

export const daemonSetController: Controller = {
  name: 'daemonset-controller',
  serviceAccount: 'daemon-set-controller',
  run: (context) => runDaemonSets(context),
};

async function runDaemonSets(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const setInformer = informers.informer(daemonSets);
  const podInformer = informers.informer(pods);
  const nodeInformer = informers.informer(nodes);
  const revisionInformer = informers.informer(controllerRevisions);
  indexByController(podInformer);
  indexByController(revisionInformer);
  const recorder = context.recorder('daemonset-controller');
  const control = createPodControl(client, recorder, daemonSets);
  const queue = createWorkQueue<string>();
  const expectations = new Expectations();
  const failures = new Backoff(1000, 15 * 60_000);
  const enqueue = (set: DaemonSet) => queue.add(objectKey(set));

  setInformer.addHandler({
    onAdd: enqueue,
    onUpdate(old, set) {
      if (old.metadata?.uid !== set.metadata?.uid) expectations.forget(objectKey(old));
      enqueue(set);
    },
    onDelete(set) {
      expectations.forget(objectKey(set));
      enqueue(set);
    },
  });
  const resolve = (namespace: string, reference: { kind: string; name: string; uid: string }) => {
    if (reference.kind !== 'DaemonSet') return undefined;
    const set = setInformer.store.get(`${namespace}/${reference.name}`);
    return set?.metadata?.uid === reference.uid ? set : undefined;
  };
  const matching = ({ metadata }: KubeObject) =>
    setInformer.store
      .list()
      .filter(
        (set) =>
          set.metadata?.namespace === metadata?.namespace && matchesLabelSelector(set.spec?.selector, metadata?.labels),
      );
  watchPods(podInformer, {
    resolve,
    matching,
    enqueue,
    created: (set) => expectations.creationObserved(objectKey(set)),
    deleted: (set, pod) => expectations.deletionObserved(objectKey(set), objectKey(pod)),
  });
  revisionInformer.addHandler({
    onDelete(revision) {
      for (const set of setInformer.store.list()) if (isControlledBy(revision, set)) enqueue(set);
    },
  });
  const enqueueAll = () => setInformer.store.list().forEach(enqueue);
  nodeInformer.addHandler({
    onAdd: enqueueAll,
    onDelete: enqueueAll,
    onUpdate(old, node) {
      if (!placementChanged(old, node)) return;
      for (const set of setInformer.store.list())
        if (!isDeepStrictEqual(placementOn(old, set), placementOn(node, set))) enqueue(set);
    },
  });

  const claimed = <T extends KubeObject>(set: DaemonSet, type: ResourceType<T>, candidates: T[]) =>
    claimObjects(candidates, {
      client,
      owner: set,
      ownerType: daemonSets as ResourceType<KubeObject>,
      type,
      selector: labelSelectorOf(set.spec?.selector),
    });
  const podsOf = async (set: DaemonSet): Promise<PodsByNode> =>
    podsByNode(await claimed(set, pods, candidatesFor(podInformer, set)));

  /** The revision of the current template, created when it is new, and the others. */
  async function revisionsOf(set: DaemonSet) {
    const all = await claimed(set, controllerRevisions, candidatesFor(revisionInformer, set));
    const data = templatePatch(set.spec?.template);
    const same = all.filter((revision) => sameData(revision.data, data));
    const old = all.filter((revision) => !same.includes(revision));
    const revision = highestRevision(old) + 1;
    const found = same.sort((a, b) => b.revision - a.revision)[0];
    if (!found) return { current: await createRevision(set, data, revision), old };
    if (found.revision >= revision) return { current: found, old };
    return { current: await client.resource(controllerRevisions).update({ ...found, revision }), old };
  }

  async function createRevision(set: DaemonSet, data: object, revision: number): Promise<ControllerRevision> {
    const wanted = newRevision({
      owner: set,
      ownerType: daemonSets,
      hash: templateHash(set.spec?.template, set.status?.collisionCount),
      hashLabel: revisionHashLabel,
      labels: set.spec?.template.metadata?.labels,
      data,
      revision,
    });
    const resource = client.resource(controllerRevisions);
    try {
      return await resource.create(wanted);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { namespace = '', name = '' } = wanted.metadata ?? {};
      const existing = await resource.get({ namespace, name });
      if (sameData(existing.data, data) && isControlledBy(existing, set)) return existing;
      const live = await client.resource(daemonSets).get({ namespace, name: set.metadata?.name ?? '' });
      const collisionCount = (live.status?.collisionCount ?? 0) + 1;
      const status = { ...(live.status ?? daemonStatus(set, [], new Map(), '')), collisionCount };
      await client.resource(daemonSets).updateStatus({ ...live, status });
      throw new Error(`hash collision of controller revision ${namespace}/${name}`);
    }
  }

  /** Creates and deletes, at most a burst of each. */
  async function carryOut(key: string, set: DaemonSet, hash: string, plan: DaemonPlan): Promise<void> {
    const createOn = plan.createOn.slice(0, burst);
    const remove = plan.remove.slice(0, burst);
    if (createOn.length + remove.length === 0) return;
    expectations.expect(key, createOn.length, remove.map(objectKey));
    const created = await slowStart(createOn.length, async (index) => {
      try {
        const template = daemonTemplate(set, hash, createOn[index] ?? '');
        await control.create(podFromTemplate(template, set, daemonSets), set);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
        expectations.creationObserved(key);
      }
    });
    expectations.creationObserved(key, createOn.length - created.succeeded);
    const removed = await Promise.allSettled(
      remove.map(async (pod) => {
        const there = await control.remove(pod, set).catch((error: Error) => error);
        if (there !== true) expectations.deletionObserved(key, objectKey(pod));
        if (there instanceof Error) throw there;
      }),
    );
    const failed = removed.find((result) => result.status === 'rejected');
    if (created.error ?? failed) throw created.error ?? (failed?.reason as Error);
  }

  function endedPod(key: string, set: DaemonSet, pod: Pod, node: string): boolean {
    const about = referenceTo(set, apiVersion, 'DaemonSet');
    const name = `${pod.metadata?.namespace}/${pod.metadata?.name} on node ${node}`;
    if (pod.status?.phase === 'Succeeded') {
      const message = `Found succeeded daemon pod ${name}, will try to delete it`;
      recorder.event(about, 'Normal', 'SucceededDaemonPod', message);
      return true;
    }
    const failureKey = `${set.metadata?.uid}/${set.status?.observedGeneration}/${node}`;
    const wait = failures.remaining(failureKey);
    if (wait > 0) {
      queue.addAfter(key, wait);
      return false;
    }
    failures.failed(failureKey);
    recorder.event(about, 'Warning', 'FailedDaemonPod', `Found failed daemon pod ${name}, will try to kill it`);
    return true;
  }

  async function writeStatus(set: DaemonSet, hash: string, isObserved: boolean): Promise<void> {
    const byNode = await podsOf(set);
    const counted = daemonStatus(set, nodeInformer.store.list(), byNode, hash);
    for (let current = set, attempt = 0; ; attempt += 1) {
      const observedGeneration = isObserved ? set.metadata?.generation : current.status?.observedGeneration;
      const status = { ...counted, ...(observedGeneration ? { observedGeneration } : {}) };
      if (isDeepStrictEqual(status, current.status)) break;
      try {
        await client.resource(daemonSets).updateStatus({ ...current, status });
        break;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt > 0) throw error;
        const { namespace = '', name = '' } = set.metadata ?? {};
        current = await client.resource(daemonSets).get({ namespace, name });
      }
    }
    const wait = nextAvailabilityMs([...byNode.values()].flat(), set.spec?.minReadySeconds);
    if (wait !== undefined) queue.addAfter(objectKey(set), wait + 10);
  }

  await runReconciler(context, {
    queue,
    sources: [setInformer, podInformer, nodeInformer, revisionInformer],
    workers: 2,
    async reconcile(key) {
      const set = setInformer.store.get(key);
      if (!set) {
        expectations.forget(key);
        return;
      }
      const { matchLabels, matchExpressions } = set.spec?.selector ?? {};
      if (!Object.keys(matchLabels ?? {}).length && !matchExpressions?.length) {
        const message = 'This daemon set is selecting all pods. A non-empty selector is required.';
        recorder.event(referenceTo(set, apiVersion, 'DaemonSet'), 'Warning', 'SelectingAll', message);
        return;
      }
      if (set.metadata?.deletionTimestamp) return;
      const { current, old } = await revisionsOf(set);
      const hash = current.metadata?.labels?.[revisionHashLabel] ?? '';
      if (!expectations.satisfied(key)) return writeStatus(set, hash, false);
      const byNode = await podsOf(set);
      const nodeList = nodeInformer.store.list();
      let failure: Error | undefined;
      try {
        const ended = (pod: Pod, node: string) => endedPod(key, set, pod, node);
        await carryOut(key, set, hash, planPlacement(set, nodeList, byNode, hash, ended));
        if (expectations.satisfied(key) && set.spec?.updateStrategy?.type !== 'OnDelete')
          await carryOut(key, set, hash, planRollout(set, nodeList, byNode, hash));
        const live = new Set([...byNode.values()].flat().map(({ metadata }) => metadata?.labels?.[revisionHashLabel]));
        const inUse = ({ metadata }: ControllerRevision) => live.has(metadata?.labels?.[revisionHashLabel]);
        await deleteRevisions(client, revisionsToCleanUp(old, set.spec?.revisionHistoryLimit ?? 10, inUse));
      } catch (error) {
        failure = error as Error;
      }
      await writeStatus(set, hash, true);
      if (failure) throw failure;
    },
  });
}

/** Most updates of nodes are heartbeats. */
const placementChanged = (old: Node, node: Node): boolean =>
  !isDeepStrictEqual(
    [old.metadata?.labels, old.spec?.taints, old.metadata?.name],
    [node.metadata?.labels, node.spec?.taints, node.metadata?.name],
  );
