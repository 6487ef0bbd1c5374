/**
 * Nodes and the pods on them, as informers tell and as the scheduler has decided: a pod is assumed to be on its node from
 * the decision on, until the informer confirms it or binding fails.
 */
import type { Node, Pod } from '../../../machinery/api/types.ts';
import { NodeInfo } from '../framework/node-info.ts';
import { type PodInfo, podInfoOf } from '../framework/pod-info.ts';
import type { ImageState, Snapshot } from './snapshot.ts';
import { interleaveZones, zoneOf } from './zones.ts';

interface PodEntry {
  info: PodInfo;
  nodeName: string;
  assumed: boolean;
}

export class SchedulerCache implements Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #pods = new Map<string, PodEntry>();
  readonly #images = new Map<string, { sizeBytes: number; nodes: Set<string> }>();
  #order: NodeInfo[] | undefined;

  get nodes(): readonly NodeInfo[] {
    this.#order ??= interleaveZones(
      [...this.#nodes.values()].filter(({ node }) => node !== undefined),
      ({ node }) => zoneOf(node),
    );
    return this.#order;
  }

  get(nodeName: string): NodeInfo | undefined {
    const info = this.#nodes.get(nodeName);
    return info?.node ? info : undefined;
  }

  withAffinity(): NodeInfo[] {
    return this.nodes.filter(({ podsWithAffinity }) => podsWithAffinity.size > 0);
  }

  withRequiredAntiAffinity(): NodeInfo[] {
    return this.nodes.filter(({ podsWithRequiredAntiAffinity }) => podsWithRequiredAntiAffinity.size > 0);
  }

  image(name: string): ImageState | undefined {
    const state = this.#images.get(name);
    return state && { sizeBytes: state.sizeBytes, nodeCount: state.nodes.size };
  }

  get podCount(): number {
    return this.#pods.size;
  }

  setNode(node: Node): void {
    const name = node.metadata?.name ?? '';
    const info = this.#nodeInfo(name);
    const before = info.node;
    if (!before || zoneOf(before) !== zoneOf(node)) this.#order = undefined;
    if (before?.status?.images !== node.status?.images) {
      this.#forgetImages(name, before);
      this.#addImages(name, node);
    }
    info.setNode(node);
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#order = undefined;
    this.#forgetImages(name, info.node);
    info.setNode(undefined);
    // Its pods are deleted one by one; until then they keep the entry.
    if (info.pods.size === 0) this.#nodes.delete(name);
  }

  /** A pod with a node, from the informer. Confirms an assumed one. */
  setPod(pod: Pod): void {
    const info = podInfoOf(pod);
    const key = info.uid || info.key;
    const nodeName = pod.spec?.nodeName ?? '';
    this.#drop(key);
    this.#pods.set(key, { info, nodeName, assumed: false });
    this.#nodeInfo(nodeName).addPod(info);
  }

  removePod(pod: Pod): void {
    this.#drop(pod.metadata?.uid ?? '');
  }

  assume(info: PodInfo, nodeName: string): void {
    const key = info.uid || info.key;
    if (this.#pods.has(key)) throw new Error(`pod ${info.key} is already in the cache`);
    const assumed = { ...info, pod: { ...info.pod, spec: { containers: [], ...info.pod.spec, nodeName } } };
    this.#pods.set(key, { info: assumed, nodeName, assumed: true });
    this.#nodeInfo(nodeName).addPod(assumed);
  }

  /** Takes an assumption back; one already confirmed stays. */
  forget(info: PodInfo): void {
    const key = info.uid || info.key;
    if (this.#pods.get(key)?.assumed) this.#drop(key);
  }

  isAssumed(pod: Pod): boolean {
    return this.#pods.get(pod.metadata?.uid ?? '')?.assumed ?? false;
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (!info) {
      info = new NodeInfo(name);
      this.#nodes.set(name, info);
    }
    return info;
  }

  #drop(key: string): void {
    const entry = this.#pods.get(key);
    if (!entry) return;
    this.#pods.delete(key);
    const info = this.#nodes.get(entry.nodeName);
    info?.removePod(entry.info);
    if (info && !info.node && info.pods.size === 0) this.#nodes.delete(entry.nodeName);
  }

  #addImages(nodeName: string, node: Node): void {
    for (const image of node.status?.images ?? []) {
      for (const name of image.names ?? []) {
        const state = this.#images.get(name) ?? { sizeBytes: image.sizeBytes ?? 0, nodes: new Set<string>() };
        state.nodes.add(nodeName);
        this.#images.set(name, state);
      }
    }
  }

  #forgetImages(nodeName: string, node: Node | undefined): void {
    for (const name of node?.status?.images?.flatMap(({ names }) => names ?? []) ?? []) {
      const state = this.#images.get(name);
      state?.nodes.delete(nodeName);
      if (state?.nodes.size === 0) this.#images.delete(name);
    }
  }
}
