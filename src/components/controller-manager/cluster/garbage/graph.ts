/** Who owns whom: the graph of all objects by their ownerReferences, and what a change of it calls for. */
import type { KubeObject, OwnerReference } from '../../../../machinery/api/types.ts';
import type { DiscoveredResource } from '../../framework/discovery.ts';

export const orphanFinalizer = 'orphan';
export const foregroundFinalizer = 'foregroundDeletion';

export interface GraphNode {
  uid: string;
  apiVersion: string;
  kind: string;
  name: string;
  /** Empty for cluster-scoped objects; of a virtual node it is the namespace of the dependent that names it. */
  namespace: string;
  /** Absent as long as the object is only known from an ownerReference: then it may not exist at all. */
  type: DiscoveredResource | undefined;
  owners: OwnerReference[];
  dependents: Set<GraphNode>;
  beingDeleted: boolean;
  /** Being deleted in the foreground: it waits until its dependents are gone. */
  deletingDependents: boolean;
  orphaning: boolean;
}

/** Uids to look at: whether to delete them, or whether to release their dependents. */
export interface Consequences {
  attemptDelete: string[];
  attemptOrphan: string[];
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #tell: (consequences: Consequences) => void;

  constructor(tell: (consequences: Consequences) => void) {
    this.#tell = tell;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** An object was seen, new or changed. */
  observe(type: DiscoveredResource, { metadata }: KubeObject): void {
    const { uid = '', name = '', namespace = '', ownerReferences = [], finalizers = [] } = metadata ?? {};
    const consequences: Consequences = { attemptDelete: [], attemptOrphan: [] };
    const apiVersion = type.group ? `${type.group}/${type.version}` : type.version;
    let node = this.#nodes.get(uid);
    if (!node) {
      node = emptyNode(uid, apiVersion, type.kind, name, namespace);
      this.#nodes.set(uid, node);
    } else if (!node.type) {
      // It was named wrongly by those whose reference does not fit: they have to be judged again.
      for (const dependent of node.dependents)
        if (!names(dependent, uid, { kind: type.kind, name, namespace }))
          consequences.attemptDelete.push(dependent.uid);
      Object.assign(node, { apiVersion, kind: type.kind, name, namespace });
    }
    node.type = type;
    this.#setOwners(node, ownerReferences, consequences);

    const deleting = Boolean(metadata?.deletionTimestamp);
    const orphaning = deleting && finalizers.includes(orphanFinalizer);
    const foreground = deleting && finalizers.includes(foregroundFinalizer);
    if (orphaning && !node.orphaning) consequences.attemptOrphan.push(uid);
    if (foreground && !node.deletingDependents) {
      consequences.attemptDelete.push(...[...node.dependents].map((dependent) => dependent.uid), uid);
    }
    node.beingDeleted = deleting;
    node.orphaning = orphaning;
    node.deletingDependents = foreground;
    this.#tell(consequences);
  }

  /** An object is gone, or was found never to have existed. */
  remove(uid: string): void {
    const node = this.#nodes.get(uid);
    if (!node) return;
    this.#nodes.delete(uid);
    const attemptDelete = [...node.dependents].map((dependent) => dependent.uid);
    for (const { uid: ownerUid } of node.owners) {
      const owner = this.#nodes.get(ownerUid);
      if (!owner) continue;
      owner.dependents.delete(node);
      if (owner.deletingDependents) attemptDelete.push(ownerUid);
      // A node that nobody names and nobody has seen is nothing.
      if (!owner.type && owner.dependents.size === 0) this.#nodes.delete(ownerUid);
    }
    // Those that still name it get a node without a type again as soon as they are seen; for now they are to be judged.
    this.#tell({ attemptDelete, attemptOrphan: [] });
  }

  #setOwners(node: GraphNode, next: OwnerReference[], consequences: Consequences): void {
    const before = new Map(node.owners.map((owner) => [owner.uid, owner]));
    node.owners = next;
    for (const owner of next) {
      const old = before.get(owner.uid);
      before.delete(owner.uid);
      const known = this.#nodes.get(owner.uid);
      if (old && known) {
        // No longer blocking: an owner that waited for this one may go on.
        if (old.blockOwnerDeletion && !owner.blockOwnerDeletion && known.deletingDependents)
          consequences.attemptDelete.push(owner.uid);
        known.dependents.add(node);
        continue;
      }
      if (known) {
        known.dependents.add(node);
        if (known.deletingDependents || (known.type && !names(node, owner.uid, known)))
          consequences.attemptDelete.push(node.uid);
        continue;
      }
      const virtual = emptyNode(owner.uid, owner.apiVersion, owner.kind, owner.name, node.namespace);
      virtual.dependents.add(node);
      this.#nodes.set(owner.uid, virtual);
      consequences.attemptDelete.push(owner.uid);
    }
    for (const uid of before.keys()) {
      const owner = this.#nodes.get(uid);
      if (!owner) continue;
      owner.dependents.delete(node);
      if (owner.deletingDependents) consequences.attemptDelete.push(uid);
      if (!owner.type && owner.dependents.size === 0) this.#nodes.delete(uid);
    }
  }
}

function emptyNode(uid: string, apiVersion: string, kind: string, name: string, namespace: string): GraphNode {
  return {
    uid,
    apiVersion,
    kind,
    name,
    namespace,
    type: undefined,
    owners: [],
    dependents: new Set(),
    beingDeleted: false,
    deletingDependents: false,
    orphaning: false,
  };
}

/** Whether the dependent's reference to `uid` tells the truth about the owner. */
function names(dependent: GraphNode, uid: string, owner: Pick<GraphNode, 'kind' | 'name' | 'namespace'>): boolean {
  const reference = dependent.owners.find((other) => other.uid === uid);
  return (
    reference?.kind === owner.kind &&
    reference.name === owner.name &&
    (owner.namespace === '' || owner.namespace === dependent.namespace)
  );
}

/** The dependents that keep the node from going when it is deleted in the foreground. */
export const blockingDependents = (node: GraphNode): GraphNode[] =>
  [...node.dependents].filter((dependent) =>
    dependent.owners.some(({ uid, blockOwnerDeletion }) => uid === node.uid && blockOwnerDeletion === true),
  );
