/** The controllers that keep pods running: ReplicaSets, Deployments, DaemonSets, StatefulSets, Jobs and their kin. */
import type { Controller } from '../framework/controller.ts';

export const workloadControllers: Controller[] = [];
