/** etcd/snapshots: what a control plane does by itself for the day on which etcd is lost. */
import { scheduleSnapshots } from '../etcd/schedule.ts';
import type { NodeContext } from './context.ts';
import type { Phase } from './engine.ts';

export const etcdSnapshots: Phase<NodeContext> = {
  name: 'etcd/snapshots',
  title: 'Schedule snapshots of etcd',
  needed: ({ hostSettings }) => hostSettings.etcd !== undefined,
  run: ({ changes, hostSettings }) => scheduleSnapshots(changes, hostSettings.etcd!.snapshots),
};
