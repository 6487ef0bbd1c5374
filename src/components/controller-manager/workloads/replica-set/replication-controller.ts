/** The controller of ReplicationControllers: ReplicaSets with a plain map as selector. */
import { mapSelector } from '../../../../machinery/api/selectors.ts';
import { replicationControllers } from '../../../../machinery/client/resources.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReplicaController } from './replica-controller.ts';

export const replicationControllerController: Controller = {
  name: 'replicationcontroller-controller',
  serviceAccount: 'replication-controller',
  run: (context) =>
    runReplicaController(context, {
      type: replicationControllers,
      component: 'replication-controller',
      // Without a selector it selects nothing, unlike an empty one of a ReplicaSet.
      selectorOf: ({ spec }) => (Object.keys(spec?.selector ?? {}).length ? mapSelector(spec?.selector ?? {}) : null),
      reportsTerminating: false,
      workers: context.options.concurrentReplicaSetSyncs,
    }),
};
