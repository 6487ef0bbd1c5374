/** What the workers of all pods share. */
import type { Pod, PodStatus, Service } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { DnsConfig } from '../cri/types.ts';
import type { ImagePuller } from '../images/pull.ts';
import type { EventSink, Prober, ReferencedObjects, VolumeSetup } from '../types.ts';
import type { PodCgroups } from './cgroups.ts';
import type { ClusterDns } from './dns.ts';
import type { PodObserver } from './observed.ts';
import type { ResourceSettings } from './resources.ts';
import type { SandboxSettings } from './sandbox-config.ts';

export interface PodContext {
  nodeName: string;
  runtime: Runtime;
  runtimeName: string;
  observer: PodObserver;
  images: ImagePuller;
  volumes: VolumeSetup;
  objects: ReferencedObjects;
  prober: Prober;
  events: EventSink;
  cgroups: PodCgroups;
  log: Logger;
  sandbox: SandboxSettings;
  resources: ResourceSettings;
  clusterDns: ClusterDns;
  /** The first and the longest pause of a container that keeps ending, milliseconds. */
  crashBackOff: { firstMs: number; longestMs: number };
  hostDns(): Promise<DnsConfig>;
  hostIps(): string[];
  nodeAllocatable(): Record<string, string>;
  /** Throws while they are not known yet. */
  services(pod: Pod): Service[];
  /** The runtime's name for the pod's runtime class; empty for its default. Throws when there is no such class. */
  runtimeHandler(pod: Pod): Promise<string>;
  /** Why the network is not ready. */
  networkProblem(): string | undefined;
  /** Why the pod may not run on this node at all. */
  admit(pod: Pod): { reason: string; message: string } | undefined;
  /** The last status that is known outside of this process. */
  knownStatus(pod: Pod): PodStatus | undefined;
  publish(pod: Pod, status: PodStatus): void;
  /** The pod's object may go now: nothing of it is left on this node. */
  finished(pod: Pod, status: PodStatus): void;
}
