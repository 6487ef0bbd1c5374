/** Pods that were promised a node by preemption and wait for it to become free. */
import type { Nominations } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';

export function createNominations(): Nominations {
  const byNode = new Map<string, Map<string, PodInfo>>();
  const nodeOf = new Map<string, string>();
  const remove = ({ uid }: PodInfo) => {
    const nodeName = nodeOf.get(uid);
    if (nodeName === undefined) return;
    nodeOf.delete(uid);
    const pods = byNode.get(nodeName);
    pods?.delete(uid);
    if (pods?.size === 0) byNode.delete(nodeName);
  };
  return {
    on: (nodeName) => [...(byNode.get(nodeName)?.values() ?? [])],
    add(info, nodeName) {
      remove(info);
      nodeOf.set(info.uid, nodeName);
      const pods = byNode.get(nodeName) ?? new Map<string, PodInfo>();
      pods.set(info.uid, info);
      byNode.set(nodeName, pods);
    },
    remove,
  };
}
