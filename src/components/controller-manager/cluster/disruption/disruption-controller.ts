/** Keeps the status of PodDisruptionBudgets: how many pods are healthy, and how many may be evicted. */
import { withCondition } from '../../../../machinery/api/conditions.ts';
import { controllerOf } from '../../../../machinery/api/owners.ts';
import { labelSelectorOf, matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { Pod, PodDisruptionBudget } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import {
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../../../../machinery/client/resources.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { keyOf } from '../../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { runReconciler } from '../../framework/reconciler.ts';
import { budgetStatus, disruptedPods, expectedPods, healthyCount, needsScale } from './budget.ts';

export const disruption: Controller = {
  name: 'disruption-controller',
  serviceAccount: 'disruption-controller',
  async run(context) {
    const { client, informers } = context;
    const recorder = context.recorder('controllermanager');
    const budgets = informers.informer(podDisruptionBudgets);
    const podInformer = informers.informer(pods);
    podInformer.addIndex('namespace', ({ metadata }) => [metadata?.namespace ?? '']);
    const scales = scaleReader(context);
    const queue = createWorkQueue<string>();
    const podsOf = (budget: PodDisruptionBudget): Pod[] => {
      const selector = labelSelectorOf(budget.spec?.selector);
      return podInformer.store
        .byIndex('namespace', budget.metadata?.namespace ?? '')
        .filter(
          ({ metadata, status }) =>
            matchesSelector(selector, metadata?.labels) && status?.phase !== 'Succeeded' && status?.phase !== 'Failed',
        );
    };
    const addBudgetsOf = ({ metadata }: Pod) => {
      for (const budget of budgets.store.list())
        if (
          budget.metadata?.namespace === metadata?.namespace &&
          matchesSelector(labelSelectorOf(budget.spec?.selector), metadata?.labels)
        )
          queue.add(keyOf(budget));
    };
    const add = (budget: PodDisruptionBudget) => queue.add(keyOf(budget));
    budgets.addHandler({ onAdd: add, onUpdate: (_old, budget) => add(budget) });
    podInformer.addHandler({ onAdd: addBudgetsOf, onUpdate: (_old, pod) => addBudgetsOf(pod), onDelete: addBudgetsOf });

    const write = async (budget: PodDisruptionBudget, status: NonNullable<PodDisruptionBudget['status']>) => {
      try {
        await client.resource(podDisruptionBudgets).updateStatus({ ...budget, status });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    };

    await runReconciler(context, {
      queue,
      sources: [budgets, podInformer, ...scales.sources],
      async reconcile(key) {
        const budget = budgets.store.get(key);
        if (!budget) return;
        const found = podsOf(budget);
        if (found.length === 0)
          recorder.event(
            referenceTo(budget, 'policy/v1', 'PodDisruptionBudget'),
            'Normal',
            'NoPods',
            'No matching pods found',
          );
        const { pods: disrupted, timedOut, recheckMs } = disruptedPods(budget, found, Date.now());
        for (const name of timedOut) {
          const pod = podInformer.store.get(`${budget.metadata?.namespace}/${name}`);
          if (pod)
            recorder.event(
              referenceTo(pod, 'v1', 'Pod'),
              'Warning',
              'NotDeleted',
              `Pod was expected by PDB ${key} to be deleted but it wasn't`,
            );
        }
        try {
          const scale = needsScale(budget) ? await scales.total(found) : 0;
          const { expectedCount, desiredHealthy } = expectedPods(budget, found.length, scale);
          const currentHealthy = healthyCount(found, disrupted);
          const status = budgetStatus(budget, { currentHealthy, desiredHealthy, expectedCount }, disrupted);
          if (status) await write(budget, status);
        } catch (error) {
          if (isConflict(error)) throw error;
          const message = (error as Error).message;
          const reference = referenceTo(budget, 'policy/v1', 'PodDisruptionBudget');
          recorder.event(
            reference,
            'Warning',
            'CalculateExpectedPodCountFailed',
            `Failed to calculate the number of expected pods: ${message}`,
          );
          // Nobody knows how many there should be: nobody may be evicted.
          const conditions = withCondition(budget.status?.conditions, {
            type: 'DisruptionAllowed',
            status: 'False',
            reason: 'SyncFailed',
            message,
          } as NonNullable<NonNullable<PodDisruptionBudget['status']>['conditions']>[number]);
          const counts = { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
          await write(budget, { ...counts, ...budget.status, disruptionsAllowed: 0, conditions });
          throw error;
        }
        if (recheckMs !== undefined) queue.addAfter(key, recheckMs + 1000);
      },
    });
  },
};

/** Reads how many pods the controllers of pods should have. */
function scaleReader({ informers, client }: ControllerContext) {
  const sets = informers.informer(replicaSets);
  const deploymentInformer = informers.informer(deployments);
  const stateful = informers.informer(statefulSets);
  const controllers = informers.informer(replicationControllers);

  /** Uid and replicas of what decides about the number of pods; undefined when the controller is gone. */
  const scaleOf = async (pod: Pod): Promise<{ uid: string; replicas: number } | undefined> => {
    const owner = controllerOf(pod);
    if (!owner) return undefined;
    const key = `${pod.metadata?.namespace}/${owner.name}`;
    const replicas = (found: { metadata?: { uid?: string }; spec?: { replicas?: number } } | undefined, uid: string) =>
      found?.metadata?.uid === uid ? { uid, replicas: found.spec?.replicas ?? 1 } : undefined;
    switch (`${owner.apiVersion.split('/')[0]}/${owner.kind}`) {
      case 'apps/ReplicaSet': {
        const set = sets.store.get(key);
        if (set?.metadata?.uid !== owner.uid) return undefined;
        const above = controllerOf(set);
        if (above?.kind !== 'Deployment') return replicas(set, owner.uid);
        return replicas(deploymentInformer.store.get(`${pod.metadata?.namespace}/${above.name}`), above.uid);
      }
      case 'apps/StatefulSet':
        return replicas(stateful.store.get(key), owner.uid);
      case 'v1/ReplicationController':
        return replicas(controllers.store.get(key), owner.uid);
    }
    // Anything else that can be scaled. The plural is the usual one of its kind.
    const plural = `${owner.kind.toLowerCase()}s`;
    const path = `/apis/${owner.apiVersion}/namespaces/${pod.metadata?.namespace}/${plural}/${owner.name}/scale`;
    const { status, body } = await client.raw('GET', path);
    if (status === 404)
      throw new Error(`${plural}.${owner.apiVersion.split('/')[0]} does not implement the scale subresource`);
    if (status !== 200) throw new Error(`scale of ${owner.kind} ${owner.name}: HTTP ${status}`);
    return { uid: owner.uid, replicas: (JSON.parse(body) as { spec?: { replicas?: number } }).spec?.replicas ?? 0 };
  };

  return {
    sources: [sets, deploymentInformer, stateful, controllers],
    async total(found: Pod[]): Promise<number> {
      const replicas = new Map<string, number>();
      for (const pod of found) {
        const scale = await scaleOf(pod);
        if (scale) replicas.set(scale.uid, scale.replicas);
      }
      return [...replicas.values()].reduce((sum, count) => sum + count, 0);
    },
  };
}
