/** A pod with what plugins need of it, computed once. */
import { objectKey } from '../../../machinery/api/owners.ts';
import { podPriority } from '../../../machinery/api/pod-resources.ts';
import type { Pod } from '../../../machinery/api/types.ts';
import { type AffinityTerms, affinityTermsOf } from './affinity-term.ts';
import { type Amounts, assumedRequestsOf, requestsOf } from './resources.ts';

export interface HostPort {
  /** `0.0.0.0` is every address. */
  ip: string;
  protocol: string;
  port: number;
}

export interface PodInfo {
  readonly pod: Pod;
  /** `namespace/name`. */
  readonly key: string;
  readonly uid: string;
  readonly priority: number;
  readonly requests: Amounts;
  /** With upstream's minimum for containers that request nothing. */
  readonly assumedRequests: Amounts;
  readonly hostPorts: readonly HostPort[];
  readonly affinity: AffinityTerms;
}

export function podInfoOf(pod: Pod): PodInfo {
  return {
    pod,
    key: objectKey(pod),
    uid: pod.metadata?.uid ?? '',
    priority: podPriority(pod),
    requests: requestsOf(pod),
    assumedRequests: assumedRequestsOf(pod),
    hostPorts: hostPortsOf(pod),
    affinity: affinityTermsOf(pod),
  };
}

export function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...sidecars, ...(pod.spec?.containers ?? [])].flatMap(({ ports }) =>
    (ports ?? [])
      .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0)
      .map(({ hostIP, protocol, hostPort }) => ({
        ip: hostIP || '0.0.0.0',
        protocol: protocol ?? 'TCP',
        port: hostPort as number,
      })),
  );
}

export const schedulerNameOf = (pod: Pod): string => pod.spec?.schedulerName || 'default-scheduler';

export const isAssigned = (pod: Pod): boolean => Boolean(pod.spec?.nodeName);
export const isTerminating = (pod: Pod): boolean => pod.metadata?.deletionTimestamp !== undefined;
