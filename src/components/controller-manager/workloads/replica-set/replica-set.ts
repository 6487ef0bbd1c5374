/** The ReplicaSet controller. */
import { labelSelectorOf } from '../../../../machinery/api/selectors.ts';
import { replicaSets } from '../../../../machinery/client/resources.ts';
import type { Controller } from '../../framework/controller.ts';
import { runReplicaController } from './replica-controller.ts';

export const replicaSetController: Controller = {
  name: 'replicaset-controller',
  serviceAccount: 'replicaset-controller',
  run: (context) =>
    runReplicaController(context, {
      type: replicaSets,
      component: 'replicaset-controller',
      selectorOf: (set) => labelSelectorOf(set.spec?.selector),
      reportsTerminating: true,
      workers: context.options.concurrentReplicaSetSyncs,
    }),
};
