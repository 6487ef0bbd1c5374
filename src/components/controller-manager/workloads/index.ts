/** The controllers that keep pods running: ReplicaSets, Deployments, DaemonSets, StatefulSets, Jobs and their kin. */
import type { Controller } from '../framework/controller.ts';
import { cronJobController } from './cron-job/cron-job.ts';
import { daemonSetController } from './daemon-set/daemon-set.ts';
import { deploymentController } from './deployment/deployment.ts';
import { jobController } from './job/job.ts';
import { replicaSetController } from './replica-set/replica-set.ts';
import { replicationControllerController } from './replica-set/replication-controller.ts';
import { statefulSetController } from './stateful-set/stateful-set.ts';

export const workloadControllers: Controller[] = [
  replicaSetController,
  deploymentController,
  daemonSetController,
  statefulSetController,
  jobController,
  cronJobController,
  replicationControllerController,
];
