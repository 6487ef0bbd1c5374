/** A node with the pods on it and their sums: what filters and scores look at. */
import type { Node, Taint } from '../../../machinery/api/types.ts';
import type { PodInfo } from './pod-info.ts';
import { type Amounts, addAmounts, amountsOfTexts } from './resources.ts';

export class NodeInfo {
  readonly name: string;
  readonly pods = new Map<string, PodInfo>();
  /** Those of `pods` with any pod affinity or anti-affinity, and with a required anti-affinity. */
  readonly podsWithAffinity = new Map<string, PodInfo>();
  readonly podsWithRequiredAntiAffinity = new Map<string, PodInfo>();
  readonly requested: Amounts = new Map();
  readonly assumedRequested: Amounts = new Map();
  /** `protocol/port` → address → how many pods use it. */
  readonly usedPorts = new Map<string, Map<string, number>>();
  allocatable: Amounts = new Map();
  #node: Node | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Absent while only pods of the node are known. */
  get node(): Node | undefined {
    return this.#node;
  }

  get labels(): Record<string, string> {
    return this.#node?.metadata?.labels ?? {};
  }

  get taints(): Taint[] {
    return this.#node?.spec?.taints ?? [];
  }

  setNode(node: Node | undefined): void {
    this.#node = node;
    this.allocatable = amountsOfTexts(node?.status?.allocatable);
  }

  addPod(info: PodInfo): void {
    const key = info.uid || info.key;
    if (this.pods.has(key)) this.removePod(info);
    this.pods.set(key, info);
    this.#count(info, 1);
    const { affinity } = info;
    const anti = affinity.requiredAntiAffinity.length > 0;
    if (anti) this.podsWithRequiredAntiAffinity.set(key, info);
    if (
      anti ||
      affinity.requiredAffinity.length + affinity.preferredAffinity.length + affinity.preferredAntiAffinity.length > 0
    )
      this.podsWithAffinity.set(key, info);
  }

  /** Answers whether the pod was there. */
  removePod(info: PodInfo): boolean {
    const key = info.uid || info.key;
    const known = this.pods.get(key);
    if (!known) return false;
    this.pods.delete(key);
    this.podsWithAffinity.delete(key);
    this.podsWithRequiredAntiAffinity.delete(key);
    this.#count(known, -1);
    return true;
  }

  /** A copy for trying out other sets of pods. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.name);
    copy.#node = this.#node;
    copy.allocatable = this.allocatable;
    for (const info of this.pods.values()) copy.addPod(info);
    return copy;
  }

  #count(info: PodInfo, sign: 1 | -1): void {
    addAmounts(this.requested, info.requests, sign);
    addAmounts(this.assumedRequested, info.assumedRequests, sign);
    for (const { ip, protocol, port } of info.hostPorts) {
      const key = `${protocol}/${port}`;
      const addresses = this.usedPorts.get(key) ?? new Map<string, number>();
      const count = (addresses.get(ip) ?? 0) + sign;
      if (count > 0) addresses.set(ip, count);
      else addresses.delete(ip);
      if (addresses.size > 0) this.usedPorts.set(key, addresses);
      else this.usedPorts.delete(key);
    }
  }
}
