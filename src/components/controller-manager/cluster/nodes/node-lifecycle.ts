/**
 * Watches over nodes: one whose kubelet is silent becomes Unknown, conditions become taints, pods on nodes that are not ready
 * become not ready. When all zones are down at once the fault is more likely here, and nothing is evicted.
 */
import { sameTaint } from '../../../../machinery/api/taints.ts';
import { formatTime } from '../../../../machinery/api/time.ts';
import type { Lease, Node, Pod } from '../../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../../machinery/client/errors.ts';
import { leases, nodes, pods } from '../../../../machinery/client/resources.ts';
import { referenceTo } from '../../../../machinery/events/recorder.ts';
import { createWorkQueue } from '../../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../../framework/controller.ts';
import { runPeriodically, runReconciler } from '../../framework/reconciler.ts';
import {
  isSilent,
  type NodeHealth,
  observeHealth,
  type Readiness,
  readinessOf,
  readyOf,
  silentNode,
  type ZoneState,
  zoneKey,
  zoneStateOf,
} from './node-health.ts';
import { changeTaints, noExecuteTaint, withNoExecuteTaint, withNoScheduleTaints } from './node-taints.ts';
import { podsByNode } from './pods-by-node.ts';
import { RateLimitedZone } from './rate-limited-zone.ts';

export const nodeLifecycle: Controller = {
  name: 'node-lifecycle-controller',
  serviceAccount: 'node-controller',
  async run(context) {
    const nodeInformer = context.informers.informer(nodes);
    const podInformer = context.informers.informer(pods);
    const leaseInformer = context.informers.informer(leases, { namespace: 'kube-node-lease' });
    podInformer.addIndex('node', podsByNode);
    const lifecycle = new Lifecycle(context, {
      node: (name) => nodeInformer.store.get(name),
      nodes: () => nodeInformer.store.list(),
      lease: (name) => leaseInformer.store.get(`kube-node-lease/${name}`),
      pods: (node) => podInformer.store.byIndex('node', node),
    });
    const taintQueue = createWorkQueue<string>();
    nodeInformer.addHandler({
      onAdd: ({ metadata }) => taintQueue.add(metadata?.name ?? ''),
      onUpdate: (old, node) => {
        if (withNoScheduleTaints(node, '')) taintQueue.add(node.metadata?.name ?? '');
        if (readyOf(old)?.status !== readyOf(node)?.status) lifecycle.readinessChanged(node);
      },
      onDelete: ({ metadata }) => lifecycle.forget(metadata?.name ?? ''),
    });
    podInformer.addHandler({
      onAdd: (pod) => lifecycle.podPlaced(pod),
      onUpdate: (old, pod) => {
        if (old.spec?.nodeName !== pod.spec?.nodeName) lifecycle.podPlaced(pod);
      },
    });
    await Promise.all([
      runReconciler(context, {
        queue: taintQueue,
        sources: [nodeInformer],
        workers: 2,
        reconcile: async (name) => {
          const node = nodeInformer.store.get(name);
          if (node && withNoScheduleTaints(node, '')) await changeTaints(context.client, name, withNoScheduleTaints);
        },
      }),
      (async () => {
        await Promise.all([nodeInformer, podInformer, leaseInformer].map((source) => source.synced(context.signal)));
        await runPeriodically(context, context.options.nodeMonitorPeriod, () => lifecycle.monitor());
      })(),
    ]);
    lifecycle.stop();
  },
};

/** Where the state of the cluster is read. */
interface ClusterView {
  node(name: string): Node | undefined;
  nodes(): Node[];
  lease(name: string): Lease | undefined;
  pods(node: string): Pod[];
}

class Lifecycle {
  readonly #context: ControllerContext;
  readonly #view: ClusterView;
  readonly #health = new Map<string, NodeHealth>();
  readonly #zones = new Map<string, { state: ZoneState; line: RateLimitedZone }>();
  readonly #recorder;
  /** Nodes whose pods could not all be marked. */
  readonly #retry = new Set<string>();

  constructor(context: ControllerContext, view: ClusterView) {
    this.#context = context;
    this.#view = view;
    this.#recorder = context.recorder('node-controller');
  }

  forget(name: string): void {
    this.#health.delete(name);
    for (const { line } of this.#zones.values()) line.remove(name);
    this.#event(name, undefined, 'RemovingNode', `Node ${name} event: Removing Node ${name} from Controller`);
  }

  stop(): void {
    for (const { line } of this.#zones.values()) line.stop();
  }

  /** One look at all nodes. */
  async monitor(): Promise<void> {
    const readiness = new Map<string, Readiness[]>();
    for (const node of this.#view.nodes()) {
      const name = node.metadata?.name ?? '';
      const zone = zoneKey(node);
      if (!this.#zones.has(zone)) this.#zones.set(zone, { state: 'Initial', line: this.#newLine() });
      if (!this.#health.has(name))
        this.#event(name, node, 'RegisteredNode', `Node ${name} event: Registered Node ${name} in Controller`);
      try {
        const current = await this.#check(node);
        readiness.set(zone, [...(readiness.get(zone) ?? []), current]);
      } catch (error) {
        // Somebody else wrote the node, or it is gone: the next look will tell.
        if (!isConflict(error) && !isNotFound(error)) throw error;
        readiness.set(zone, [...(readiness.get(zone) ?? []), readinessOf(node)]);
      }
    }
    await this.#handleDisruption(readiness);
  }

  /** Follows a kubelet that itself says that it is or is not ready. */
  readinessChanged(node: Node): void {
    if (this.#zones.has(zoneKey(node))) this.#evictOrSpare(node, readinessOf(node));
  }

  podPlaced(pod: Pod): void {
    const node = pod.spec?.nodeName ? this.#view.node(pod.spec.nodeName) : undefined;
    if (!node || readinessOf(node) === 'True' || !readyOf(node)) return;
    this.#markNotReady([pod]).catch((error: Error) => this.#context.logger.warn(error.message));
  }

  async #check(node: Node): Promise<Readiness> {
    const { options, client } = this.#context;
    const name = node.metadata?.name ?? '';
    const now = Date.now();
    const health = observeHealth(this.#health.get(name), node, this.#view.lease(name), now);
    this.#health.set(name, health);
    const observed = readinessOf(node);
    let current = observed;
    if (isSilent(health, node, now, options)) {
      const unknown = silentNode(node, now);
      if (unknown) await client.resource(nodes).updateStatus(unknown);
      current = 'Unknown';
    }
    this.#evictOrSpare(node, current);
    if (current !== 'True' && observed === 'True') {
      this.#event(name, node, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      this.#retry.add(name);
    }
    if (current !== 'True' && this.#retry.has(name)) {
      await this.#markNotReady(this.#view.pods(name));
      this.#retry.delete(name);
    }
    if (current === 'True') this.#retry.delete(name);
    return current;
  }

  /** Puts the node in line for its NoExecute taint, or takes the taint off. */
  #evictOrSpare(node: Node, readiness: Readiness): void {
    const name = node.metadata?.name ?? '';
    const line = this.#zones.get(zoneKey(node))?.line;
    if (!withNoExecuteTaint(node, readiness, '')) {
      if (readiness === 'True') line?.remove(name);
      return;
    }
    const tainted = node.spec?.taints?.some((taint) =>
      Object.values(noExecuteTaint).some((other) => sameTaint(taint, other)),
    );
    // A node that changes from one taint to the other, or returns, does not have to wait its turn.
    if (readiness === 'True' || tainted) {
      line?.remove(name);
      changeTaints(this.#context.client, name, (live, now) => withNoExecuteTaint(live, readiness, now)).catch(
        (error: Error) => this.#context.logger.warn({ node: name }, error.message),
      );
    } else line?.add(name);
  }

  #newLine(): RateLimitedZone {
    return new RateLimitedZone(
      this.#context.options.nodeEvictionRate,
      (name) =>
        changeTaints(this.#context.client, name, (live, now) => {
          const readiness = readinessOf(live);
          return readiness === 'True' ? undefined : withNoExecuteTaint(live, readiness, now);
        }),
      (name, error) => this.#context.logger.warn({ node: name }, error.message),
    );
  }

  async #markNotReady(found: Pod[]): Promise<void> {
    const api = this.#context.client.resource(pods);
    for (const pod of found) {
      const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True') continue;
      const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
      const condition = { type: 'Ready', status: 'False', lastTransitionTime: formatTime() };
      try {
        await api.patch(
          { namespace, name },
          { metadata: { uid }, status: { conditions: [condition] } },
          { type: 'strategic', subresource: 'status' },
        );
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) continue;
        throw error;
      }
      this.#recorder.event(referenceTo(pod, 'v1', 'Pod'), 'Warning', 'NodeNotReady', 'Node is not ready');
    }
  }

  async #handleDisruption(readiness: Map<string, Readiness[]>): Promise<void> {
    const { options, logger } = this.#context;
    const states = new Map<string, ZoneState>();
    for (const [zone, list] of readiness) states.set(zone, zoneStateOf(list, options.unhealthyZoneThreshold));
    for (const zone of this.#zones.keys()) {
      if (states.has(zone)) continue;
      this.#zones.get(zone)?.line.stop();
      this.#zones.delete(zone);
    }
    const before = [...this.#zones.values()].map(({ state }) => state);
    const wasFull = before.length > 0 && before.every((state) => state === 'FullDisruption');
    const isFull = states.size > 0 && [...states.values()].every((state) => state === 'FullDisruption');
    if (isFull && !wasFull) {
      logger.info('Controller detected that all Nodes are not-Ready. Entering master disruption mode');
      for (const { line } of this.#zones.values()) line.setRate(0);
      for (const { metadata } of this.#view.nodes())
        await changeTaints(this.#context.client, metadata?.name ?? '', (live, now) =>
          withNoExecuteTaint(live, 'True', now),
        );
    }
    if (wasFull && !isFull) {
      logger.info('Controller detected that some Nodes are Ready. Exiting master disruption mode');
      // Nodes that were silent because of the disruption get their whole grace period again.
      for (const health of this.#health.values()) health.probedAt = Date.now();
    }
    for (const [zone, state] of states) {
      const entry = this.#zones.get(zone);
      if (!entry) continue;
      if (entry.state !== state) logger.info({ zone, state }, 'zone state');
      entry.state = state;
      if (!isFull) entry.line.setRate(this.#rateOf(state, readiness.get(zone)?.length ?? 0));
    }
  }

  #rateOf(state: ZoneState, size: number): number {
    const { nodeEvictionRate, secondaryNodeEvictionRate, largeClusterSizeThreshold } = this.#context.options;
    if (state !== 'PartialDisruption') return nodeEvictionRate;
    return size > largeClusterSizeThreshold ? secondaryNodeEvictionRate : 0;
  }

  #event(name: string, node: Node | undefined, reason: string, message: string): void {
    const uid = node?.metadata?.uid ?? name;
    this.#recorder.event({ kind: 'Node', name, uid, apiVersion: 'v1' }, 'Normal', reason, message);
  }
}
