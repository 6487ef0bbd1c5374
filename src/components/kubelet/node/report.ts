/** The node's object: registered once, its status kept up to date, its lease renewed. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ResourceQuantities } from '../../../machinery/api/quantity.ts';
import { formatMicroTime } from '../../../machinery/api/time.ts';
import type { CSINode, Lease, Node, NodeStatus, Taint } from '../../../machinery/api/types.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../machinery/client/errors.ts';
import { csiNodes, leases, nodes } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Configuration } from '../config/settings.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { RuntimeVersion } from '../cri/types.ts';
import type { EventSink } from '../types.ts';
import type { Machine } from './capacity.ts';
import { architecture, nodeInfo } from './info.ts';
import type { PressureWatch } from './pressure.ts';
import type { RuntimeState } from './runtime-state.ts';
import { conditionChanges, nodeStatus, nodeStatusChanged, nodeStatusPatch } from './status.ts';

export interface NodeReportOptions {
  client: Client;
  configuration: Configuration;
  nodeName: string;
  nodeLabels: Record<string, string>;
  ips(): Promise<string[]>;
  capacity: ResourceQuantities;
  allocatable: ResourceQuantities;
  machine: Machine;
  runtime: Runtime;
  version: RuntimeVersion;
  runtimeState: RuntimeState;
  pressure: PressureWatch;
  /** Why the node is not ready. */
  problems(): string[];
  /** As the informer has it. */
  node(): Node | undefined;
  events: EventSink;
  onRegistered(): void;
  log: Logger;
  signal: AbortSignal;
}

export interface NodeReport {
  /** Something changed that is worth telling at once. */
  now(): void;
  /** The latest status has been written. */
  readonly idle: boolean;
}

const leaseNamespace = 'kube-node-lease';
const managedAttach = 'volumes.kubernetes.io/controller-managed-attach-detach';

export function reportNode(options: NodeReportOptions): NodeReport {
  const { client, configuration, nodeName, events, log, signal } = options;
  const api = client.resource(nodes);
  let registered: Node | undefined;
  let reportedAt = 0;
  let running = false;
  let again = false;
  let asked = false;
  let timer: NodeJS.Timeout | undefined;

  const compute = async (previous: NodeStatus | undefined): Promise<NodeStatus> =>
    nodeStatus({
      nodeName,
      ips: await options.ips(),
      port: configuration.port,
      capacity: options.capacity,
      allocatable: options.allocatable,
      info: await nodeInfo(options.version.runtimeName, options.version.runtimeVersion, options.machine.swapBytes),
      images: await options.runtime.listImages().catch(() => []),
      maxImages: configuration.nodeStatusMaxImages,
      runtimeStatus: options.runtimeState.status(),
      pressure: options.pressure.current(),
      problems: options.problems(),
      previous,
    });

  const register = async (): Promise<{ node: Node; made: boolean }> => {
    const labels = {
      'beta.kubernetes.io/arch': architecture(),
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture(),
      'kubernetes.io/hostname': nodeName,
      'kubernetes.io/os': 'linux',
      ...options.nodeLabels,
    };
    const annotations: Record<string, string> = configuration.enableControllerAttachDetach
      ? { [managedAttach]: 'true' }
      : {};
    const taints = (configuration.registerWithTaints as Taint[] | undefined) ?? [];
    const wanted: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName, labels, annotations },
      spec: {
        ...(taints.length ? { taints } : {}),
        ...(configuration.providerID ? { providerID: configuration.providerID } : {}),
        ...(configuration.podCIDR ? { podCIDR: configuration.podCIDR, podCIDRs: [configuration.podCIDR] } : {}),
      },
      status: await compute(undefined),
    };
    try {
      const node = configuration.registerNode ? await api.create(wanted) : await api.get({ name: nodeName });
      log.info({ node: nodeName }, 'Successfully registered node');
      return { node, made: true };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const existing = await api.get({ name: nodeName });
    log.info({ node: nodeName }, 'Node was previously registered');
    const different = (have: Record<string, string> | undefined, want: Record<string, string>) =>
      Object.entries(want).filter(([key, value]) => have?.[key] !== value);
    const changedLabels = Object.fromEntries(different(existing.metadata?.labels, labels));
    const changedAnnotations = Object.fromEntries(different(existing.metadata?.annotations, annotations));
    if (Object.keys(changedLabels).length + Object.keys(changedAnnotations).length === 0)
      return { node: existing, made: false };
    const node = await api.patch(
      { name: nodeName },
      { metadata: { labels: changedLabels, annotations: changedAnnotations } },
      { type: 'strategic' },
    );
    return { node, made: false };
  };

  const update = async () => {
    if (!registered) {
      const { node, made } = await register();
      registered = node;
      if (made)
        for (const reason of conditionChanges([], node.status?.conditions ?? []))
          if (reason !== 'NodeNotReady') tellStatus(reason);
      options.onRegistered();
      void renewLeases();
      void makeCsiNode();
    }
    const known = options.node() ?? registered;
    const newest = known.metadata?.uid === registered.metadata?.uid ? newer(known, registered) : known;
    const before = newest.status ?? {};
    const after = await compute(before);
    const overdue = Date.now() - reportedAt >= configuration.nodeStatusReportFrequency;
    if (!overdue && !nodeStatusChanged(before, after)) return;
    const patch = nodeStatusPatch(before, after);
    registered = await api.patch({ name: nodeName }, { status: patch }, { type: 'strategic', subresource: 'status' });
    reportedAt = Date.now();
    for (const reason of conditionChanges(before.conditions ?? [], after.conditions ?? [])) tellStatus(reason);
  };
  const tellStatus = (reason: string) => events.node('Normal', reason, `Node ${nodeName} status is now: ${reason}`);

  const run = async () => {
    running = true;
    again = false;
    let failed = false;
    try {
      await update();
    } catch (error) {
      failed = true;
      // A node that somebody deleted stays deleted until the kubelet is started again.
      log.error(
        `${registered ? 'Error updating node status' : 'Unable to register node with API server'}: ${(error as Error).message}`,
      );
    }
    running = false;
    if (!failed && !again) asked = false;
    const period = Math.min(configuration.nodeStatusUpdateFrequency, configuration.nodeStatusReportFrequency);
    schedule(again ? 50 : failed ? (registered ? 1000 : 250) : period);
  };
  const schedule = (ms: number) => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(run, ms);
  };
  signal.addEventListener('abort', () => clearTimeout(timer));

  let renewing = false;
  const renewLeases = async () => {
    if (renewing) return;
    renewing = true;
    const periodMs = configuration.nodeLeaseDurationSeconds * 250;
    while (!signal.aborted) {
      try {
        await renewLease();
        await delay(periodMs, undefined, { signal }).catch(() => undefined);
      } catch (error) {
        if (signal.aborted) return;
        log.error(`Failed to update lease: ${(error as Error).message}`);
        await delay(1000, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  let lease: Lease | undefined;
  const renewLease = async () => {
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: configuration.nodeLeaseDurationSeconds,
      renewTime: formatMicroTime(),
    };
    const timeoutMs = 10_000;
    const resource = client.resource(leases);
    lease ??= await resource.find({ name: nodeName, namespace: leaseNamespace }, { signal, timeoutMs });
    const owner = options.node() ?? registered;
    const uid = owner?.metadata?.uid;
    const ownerReferences = uid ? [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] : undefined;
    if (!lease) {
      lease = await resource.create(
        {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: nodeName, namespace: leaseNamespace, ...(ownerReferences ? { ownerReferences } : {}) },
          spec,
        },
        { signal, timeoutMs },
      );
      return;
    }
    try {
      lease = await resource.update(
        {
          ...lease,
          metadata: { ...lease.metadata, ...(ownerReferences ? { ownerReferences } : {}) },
          spec: { ...lease.spec, ...spec },
        },
        { signal, timeoutMs },
      );
    } catch (error) {
      lease = undefined;
      // Somebody else touched it, or removed it: with the newest version at once.
      if (!isConflict(error) && !isNotFound(error)) throw error;
      await delay(50);
      if (!signal.aborted) await renewLease();
    }
  };

  /** Drivers of storage are listed in it; the scheduler and controllers expect it of every node. */
  const makeCsiNode = async () => {
    const uid = registered?.metadata?.uid;
    if (!uid) return;
    const csiNode: CSINode = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSINode',
      metadata: { name: nodeName, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] },
      spec: { drivers: [] },
    };
    try {
      await client.resource(csiNodes).create(csiNode);
    } catch (error) {
      if (!isAlreadyExists(error)) log.debug(`cannot make the CSINode: ${(error as Error).message}`);
    }
  };

  schedule(0);
  return {
    get idle() {
      return !asked;
    },
    now() {
      asked = true;
      if (running) again = true;
      else schedule(0);
    },
  };
}

const newer = (a: Node, b: Node): Node =>
  Number(a.metadata?.resourceVersion ?? 0) >= Number(b.metadata?.resourceVersion ?? 0) ? a : b;
