/** ClusterRoles with an aggregationRule have the rules of all ClusterRoles that it selects. */
import { stableJson } from '../../../machinery/api/hash.ts';
import { matchesLabelSelector } from '../../../machinery/api/selectors.ts';
import type { ClusterRole, PolicyRule } from '../../../machinery/api/types.ts';
import { clusterRoles } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';

/** The rules of what `role` selects, by selector, then by name, each once. */
export function aggregatedRules(role: ClusterRole, all: ClusterRole[]): PolicyRule[] {
  const byName = [...all].sort((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    for (const other of byName) {
      if (other.metadata?.name === role.metadata?.name || !matchesLabelSelector(selector, other.metadata?.labels))
        continue;
      for (const rule of other.rules ?? []) {
        const key = stableJson(rule);
        if (!rules.has(key)) rules.set(key, rule);
      }
    }
  }
  return [...rules.values()];
}

export const clusterRoleAggregation: Controller = {
  name: 'clusterrole-aggregation-controller',
  serviceAccount: 'clusterrole-aggregation-controller',
  async run(context) {
    const informer = context.informers.informer(clusterRoles);
    const queue = createWorkQueue<string>();
    const addAll = () => {
      for (const role of informer.store.list()) if (role.aggregationRule) queue.add(role.metadata?.name ?? '');
    };
    informer.addHandler({ onAdd: addAll, onUpdate: addAll, onDelete: addAll });
    await runReconciler(context, {
      queue,
      sources: [informer],
      workers: 1,
      async reconcile(name) {
        const role = informer.store.get(name);
        if (!role?.aggregationRule) return;
        const rules = aggregatedRules(role, informer.store.list());
        if (stableJson(rules) === stableJson(role.rules ?? [])) return;
        await context.client.resource(clusterRoles).patch(
          { name },
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'ClusterRole',
            metadata: { name },
            rules,
          },
          { type: 'apply', fieldManager: 'clusterrole-aggregation-controller', force: true },
        );
      },
    });
  },
};
