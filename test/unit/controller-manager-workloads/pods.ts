/** Pods for tests. */
import type { Pod } from '../../../src/machinery/api/types.ts';

export interface PodFacts {
  node?: string;
  phase?: string;
  /** When it became ready; absent: not ready. */
  readyAt?: string;
  createdAt?: string;
  deleting?: boolean;
  cost?: string;
  restarts?: number;
  labels?: Record<string, string>;
  owner?: string;
}

export function pod(name: string, facts: PodFacts = {}): Pod {
  const { node, phase = 'Running', readyAt, createdAt, deleting, cost, restarts, labels, owner } = facts;
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      ...(labels ? { labels } : {}),
      ...(createdAt ? { creationTimestamp: createdAt } : {}),
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
      ...(cost ? { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } } : {}),
      ...(owner
        ? {
            ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
          }
        : {}),
    },
    spec: { containers: [], ...(node ? { nodeName: node } : {}) },
    status: {
      phase,
      ...(readyAt ? { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: readyAt }] } : {}),
      ...(restarts
        ? {
            containerStatuses: [{ name: 'c', image: '', imageID: '', ready: true, restartCount: restarts }],
          }
        : {}),
    },
  };
}
