/** Decides about single objects, with their live state: delete, release, wait, or leave alone. */
import type { OwnerReference, UnknownObject } from '../../../../machinery/api/types.ts';
import { isNotFound } from '../../../../machinery/client/errors.ts';
import type { Client, DeleteOptions, ObjectRef } from '../../../../machinery/client/types.ts';
import type { DiscoveredResource } from '../../framework/discovery.ts';
import { blockingDependents, foregroundFinalizer, type GraphNode, type OwnerGraph, orphanFinalizer } from './graph.ts';

/** A kind that discovery does not (yet) know: nothing may be concluded. */
export class UnknownKind extends Error {}
/** The object exists, but its informer has not told of it yet. */
export class NotObserved extends Error {}

export interface CollectorOptions {
  client: Client;
  graph: OwnerGraph;
  /** By group and kind. */
  typeOf(group: string, kind: string): DiscoveredResource | undefined;
  enqueueDelete(uid: string): void;
}

const absentLimit = 500;

export class Collector {
  readonly #options: CollectorOptions;
  /** `namespace/uid` of owners that were looked up and do not exist. */
  readonly #absent = new Set<string>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  async attemptDelete(uid: string): Promise<void> {
    const { graph } = this.#options;
    const node = graph.get(uid);
    if (!node || (node.beingDeleted && !node.deletingDependents)) return;
    const type = node.type ?? this.#typeOf(node.apiVersion, node.kind);
    const live = await this.#live(type, refOf(type, node.namespace, node.name));
    if (live?.metadata?.uid !== uid) {
      // An observed object's own informer tells of its end; a virtual one never was.
      if (!node.type) {
        this.#rememberAbsent(node.namespace, uid);
        graph.remove(uid);
      }
      return;
    }
    if (!node.type) throw new NotObserved(`${node.kind} ${node.name} is not observed yet`);
    if (node.deletingDependents) return this.#finishForeground(node, type, live);
    const references = live.metadata.ownerReferences ?? [];
    if (references.length === 0) return;

    const { solid, dangling, waiting } = await this.#classify(node, references);
    const ref = refOf(type, node.namespace, node.name);
    if (solid.length > 0) {
      if (dangling.length + waiting.length === 0) return;
      const gone = new Set([...dangling, ...waiting].map((owner) => owner.uid));
      await this.#patch(type, ref, live, { ownerReferences: references.filter((owner) => !gone.has(owner.uid)) });
      return;
    }
    if (waiting.length > 0 && node.dependents.size > 0) {
      // A circle of foreground deletions would wait for itself for ever.
      if ([...node.dependents].some((dependent) => dependent.deletingDependents)) {
        const unblocked = references.map((owner) => ({ ...owner, blockOwnerDeletion: false }));
        await this.#patch(type, ref, live, { ownerReferences: unblocked });
      }
      await this.#delete(type, ref, live, 'Foreground');
      return;
    }
    const finalizers = live.metadata.finalizers ?? [];
    const policy = finalizers.includes(orphanFinalizer)
      ? 'Orphan'
      : finalizers.includes(foregroundFinalizer)
        ? 'Foreground'
        : 'Background';
    await this.#delete(type, ref, live, policy);
  }

  /** Takes the owner out of its dependents' references, then lets it go. */
  async attemptOrphan(uid: string): Promise<void> {
    const node = this.#options.graph.get(uid);
    if (!node?.type || !node.orphaning) return;
    for (const dependent of [...node.dependents]) {
      if (!dependent.type) continue;
      const ref = refOf(dependent.type, dependent.namespace, dependent.name);
      const live = await this.#live(dependent.type, ref);
      const references = live?.metadata?.ownerReferences ?? [];
      if (!live || live.metadata?.uid !== dependent.uid || !references.some((owner) => owner.uid === uid)) continue;
      await this.#patch(dependent.type, ref, live, {
        ownerReferences: references.filter((owner) => owner.uid !== uid),
      });
    }
    const ref = refOf(node.type, node.namespace, node.name);
    const live = await this.#live(node.type, ref);
    if (live?.metadata?.uid === uid) await this.#removeFinalizer(node.type, ref, live, orphanFinalizer);
  }

  async #finishForeground(node: GraphNode, type: DiscoveredResource, live: UnknownObject): Promise<void> {
    const blocking = blockingDependents(node);
    if (blocking.length === 0) {
      await this.#removeFinalizer(type, refOf(type, node.namespace, node.name), live, foregroundFinalizer);
      return;
    }
    for (const dependent of blocking) if (!dependent.deletingDependents) this.#options.enqueueDelete(dependent.uid);
  }

  async #classify(node: GraphNode, references: OwnerReference[]) {
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const reference of references) {
      const owner = await this.#owner(node, reference);
      if (owner === 'absent') dangling.push(reference);
      else if (
        owner !== 'unresolvable' &&
        owner.metadata?.deletionTimestamp &&
        owner.metadata.finalizers?.includes(foregroundFinalizer)
      )
        waiting.push(reference);
      else solid.push(reference);
    }
    return { solid, dangling, waiting };
  }

  async #owner(node: GraphNode, reference: OwnerReference): Promise<UnknownObject | 'absent' | 'unresolvable'> {
    if (this.#absent.has(`${node.namespace}/${reference.uid}`)) return 'absent';
    const type = this.#typeOf(reference.apiVersion, reference.kind);
    // An object without namespace cannot have an owner in one: the reference means nothing.
    if (type.namespaced && !node.namespace) return 'unresolvable';
    const live = await this.#live(type, refOf(type, node.namespace, reference.name));
    if (live?.metadata?.uid === reference.uid) return live;
    this.#rememberAbsent(node.namespace, reference.uid);
    return 'absent';
  }

  #rememberAbsent(namespace: string, uid: string): void {
    if (this.#absent.size >= absentLimit) this.#absent.delete(this.#absent.values().next().value ?? '');
    this.#absent.add(`${namespace}/${uid}`);
  }

  #typeOf(apiVersion: string, kind: string): DiscoveredResource {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    const type = this.#options.typeOf(group, kind);
    if (!type) throw new UnknownKind(`no matches for kind "${kind}" in version "${apiVersion}"`);
    return type;
  }

  #live(type: DiscoveredResource, ref: ObjectRef): Promise<UnknownObject | undefined> {
    return this.#options.client.dynamic({ ...type, metadataOnly: true }).find(ref);
  }

  async #patch(type: DiscoveredResource, ref: ObjectRef, live: UnknownObject, metadata: object): Promise<void> {
    const { uid, resourceVersion } = live.metadata ?? {};
    try {
      await this.#options.client
        .dynamic(type)
        .patch(ref, { metadata: { uid, resourceVersion, ...metadata } }, { type: 'merge' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #removeFinalizer(type: DiscoveredResource, ref: ObjectRef, live: UnknownObject, name: string): Promise<void> {
    const finalizers = live.metadata?.finalizers ?? [];
    if (!finalizers.includes(name)) return;
    await this.#patch(type, ref, live, { finalizers: finalizers.filter((finalizer) => finalizer !== name) });
  }

  async #delete(
    type: DiscoveredResource,
    ref: ObjectRef,
    live: UnknownObject,
    propagationPolicy: NonNullable<DeleteOptions['propagationPolicy']>,
  ): Promise<void> {
    const { uid = '', resourceVersion = '' } = live.metadata ?? {};
    try {
      // The version too: had the object got a new owner meanwhile, it must stay.
      await this.#options.client
        .dynamic(type)
        .delete(ref, { propagationPolicy, preconditions: { uid, resourceVersion } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

const refOf = (type: DiscoveredResource, namespace: string, name: string): ObjectRef =>
  type.namespaced && namespace ? { namespace, name } : { name };
