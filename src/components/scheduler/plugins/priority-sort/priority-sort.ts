/** PrioritySort: pods of higher priority first, among equals the one that has waited longer. */
import type { PluginFactory, QueuedPod } from '../../framework/plugin.ts';

export const before = (a: QueuedPod, b: QueuedPod): boolean =>
  a.info.priority > b.info.priority || (a.info.priority === b.info.priority && a.queuedAt < b.queuedAt);

export const prioritySort: PluginFactory = () => ({ name: 'PrioritySort', less: before });
