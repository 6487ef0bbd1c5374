/** The contract of scheduler plugins. A plugin implements the extension points it is for. */
import type { KubeObject, Pod } from '../../../machinery/api/types.ts';
import type { Client, ResourceType } from '../../../machinery/client/types.ts';
import type { InformerOptions, Store } from '../../../machinery/informer/types.ts';
import type { Snapshot } from '../cache/snapshot.ts';
import type { NamespaceLabels } from './affinity-term.ts';
import type { CycleState } from './cycle-state.ts';
import type { EventRegistration } from './events.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Status } from './status.ts';

export const maxNodeScore = 100;

/** What the queue orders by. */
export interface QueuedPod {
  readonly info: PodInfo;
  /** When it was put into the active queue, milliseconds. */
  readonly queuedAt: number;
}

export interface PreFilterResult {
  status?: Status;
  /** Only these nodes come into question. */
  nodeNames?: ReadonlySet<string>;
}

/** Why each node was refused. Nodes without an entry have `absentNodes`. */
export interface Diagnosis {
  nodeToStatus: Map<string, Status>;
  absentNodes: Status;
  unschedulablePlugins: Set<string>;
  pendingPlugins: Set<string>;
  preFilterMessage: string;
  postFilterMessage: string;
}

export interface PostFilterResult {
  /** Where the pod will probably fit soon; undefined leaves what is there. */
  nominatedNodeName?: string;
  /** Appended to the event. */
  message: string;
}

export interface SchedulerPlugin {
  readonly name: string;
  readonly events?: readonly EventRegistration[];
  preEnqueue?(pod: Pod): Status | undefined;
  /** QueueSort: whether `a` comes before `b`. */
  less?(a: QueuedPod, b: QueuedPod): boolean;
  preFilter?(state: CycleState, info: PodInfo, snapshot: Snapshot): PreFilterResult | undefined;
  filter?(state: CycleState, info: PodInfo, node: NodeInfo): Status | undefined;
  /** Keeps what preFilter computed right while other pods come and go for a trial. */
  addPod?(state: CycleState, info: PodInfo, added: PodInfo, node: NodeInfo): void;
  removePod?(state: CycleState, info: PodInfo, removed: PodInfo, node: NodeInfo): void;
  postFilter?(state: CycleState, info: PodInfo, diagnosis: Diagnosis): Promise<PostFilterResult | undefined>;
  preScore?(state: CycleState, info: PodInfo, nodes: readonly NodeInfo[]): Status | undefined;
  score?(state: CycleState, info: PodInfo, node: NodeInfo): number;
  /** Brings the scores of all nodes into 0 to 100, in place; left out when scores are that already. */
  normalize?(state: CycleState, info: PodInfo, nodes: readonly NodeInfo[], scores: number[]): void;
  reserve?(state: CycleState, info: PodInfo, nodeName: string): Status | undefined;
  unreserve?(state: CycleState, info: PodInfo, nodeName: string): void;
  /** Skip: preBind has nothing to do, and will not wait. */
  preBindPreFlight?(state: CycleState, info: PodInfo, nodeName: string): Status | undefined;
  preBind?(state: CycleState, info: PodInfo, nodeName: string): Promise<Status | undefined>;
  bind?(state: CycleState, info: PodInfo, nodeName: string): Promise<Status | undefined>;
}

/** Filters a pod against a node as the whole profile does; what preemption tries with. */
export interface FilterRunner {
  filter(state: CycleState, info: PodInfo, node: NodeInfo): Status | undefined;
  filterWithNominated(state: CycleState, info: PodInfo, node: NodeInfo): Status | undefined;
  addPod(state: CycleState, info: PodInfo, added: PodInfo, node: NodeInfo): void;
  removePod(state: CycleState, info: PodInfo, removed: PodInfo, node: NodeInfo): void;
}

/** Pods that were promised a node and are not there yet. */
export interface Nominations {
  on(nodeName: string): readonly PodInfo[];
  add(info: PodInfo, nodeName: string): void;
  remove(info: PodInfo): void;
}

/** What plugins are made with. */
export interface PluginContext {
  profileName: string;
  client: Client;
  /** Fires when the scheduler stops: what waits, ends. */
  signal: AbortSignal;
  snapshot(): Snapshot;
  /** The pod as it is known now, when it has not ended. */
  current(pod: Pod): Pod | undefined;
  namespaceLabels: NamespaceLabels;
  store<T extends KubeObject>(type: ResourceType<T>, options?: InformerOptions): Store<T>;
  runner(): FilterRunner;
  nominations: Nominations;
  /** Tells the cluster what happened to a pod. */
  podEvent(pod: Pod, type: 'Normal' | 'Warning', reason: string, action: string, message: string, related?: Pod): void;
  logError(message: string, error: Error): void;
}

/** Makes a plugin. `args` is the plugin's part of the configuration file, already checked to be an object. */
export type PluginFactory = (context: PluginContext, args: Record<string, unknown>) => SchedulerPlugin;
