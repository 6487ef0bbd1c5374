/** Which node may read which object: follows pods, persistent volumes and attachments in the watch cache. */
import type { PersistentVolume, Pod, UnknownObject } from '../../../../machinery/api/types.ts';
import type { CacheReader, GroupResource } from '../../types.ts';
import { podReferences, type ReferenceKind, referenceKey, volumeSecrets } from './pod-references.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';

interface Attachment extends UnknownObject {
  spec?: { nodeName?: string };
}

export class NodeGraph {
  /** Object → node → number of pods on that node which refer to it. */
  private readonly users = new Map<string, Map<string, number>>();
  private readonly pods = new Map<string, { node: string; keys: Set<string> }>();
  private readonly volumes = new Map<string, { claim: string; secrets: string[] }>();
  private readonly volumesOfSecret = new Map<string, Set<string>>();
  private readonly attachments = new Map<string, string>();

  setPod(namespace: string, name: string, pod: Pod | undefined): void {
    const key = `${namespace}/${name}`;
    const before = this.pods.get(key);
    const node = pod?.spec?.nodeName;
    // What a pod refers to hardly changes once it is bound; skip the work for each status update.
    const keys = !pod || !node ? undefined : mirrors(pod) ? new Set<string>() : podReferences(pod);
    if (before && keys && before.node === node && sameSet(before.keys, keys)) return;
    if (before) for (const reference of before.keys) this.count(reference, before.node, -1);
    if (!keys || !node) {
      this.pods.delete(key);
      return;
    }
    for (const reference of keys) this.count(reference, node, 1);
    this.pods.set(key, { node, keys });
  }

  setVolume(name: string, volume: PersistentVolume | undefined): void {
    for (const secret of this.volumes.get(name)?.secrets ?? []) this.volumesOfSecret.get(secret)?.delete(name);
    const claim = volume?.spec?.claimRef;
    if (!volume || !claim?.name) {
      this.volumes.delete(name);
      return;
    }
    const secrets = volumeSecrets(volume as Parameters<typeof volumeSecrets>[0]);
    this.volumes.set(name, { claim: referenceKey('pvc', claim.namespace ?? '', claim.name), secrets });
    for (const secret of secrets) {
      const names = this.volumesOfSecret.get(secret) ?? new Set();
      this.volumesOfSecret.set(secret, names.add(name));
    }
  }

  setAttachment(name: string, node: string | undefined): void {
    if (node) this.attachments.set(name, node);
    else this.attachments.delete(name);
  }

  /** True when a pod on the node refers to the object, directly or through a volume. */
  refers(node: string, kind: ReferenceKind, namespace: string, name: string): boolean {
    const key = referenceKey(kind, namespace, name);
    if (this.users.get(key)?.has(node)) return true;
    if (kind !== 'secret') return false;
    for (const volume of this.volumesOfSecret.get(key) ?? []) if (this.mounts(node, volume)) return true;
    return false;
  }

  /** True when a pod on the node uses the claim that the persistent volume is bound to. */
  mounts(node: string, volume: string): boolean {
    const claim = this.volumes.get(volume)?.claim;
    return claim !== undefined && this.users.get(claim)?.has(node) === true;
  }

  runs(node: string, namespace: string, pod: string): boolean {
    return this.pods.get(`${namespace}/${pod}`)?.node === node;
  }

  attached(node: string, attachment: string): boolean {
    return this.attachments.get(attachment) === node;
  }

  private count(reference: string, node: string, step: 1 | -1): void {
    const nodes = this.users.get(reference) ?? new Map<string, number>();
    const left = (nodes.get(node) ?? 0) + step;
    if (left > 0) nodes.set(node, left);
    else nodes.delete(node);
    if (nodes.size) this.users.set(reference, nodes);
    else this.users.delete(reference);
  }
}

const mirrors = (pod: Pod) => pod.metadata?.annotations?.[mirrorAnnotation] !== undefined;

function sameSet(a: Set<string>, b: Set<string>): boolean {
  return a.size === b.size && [...a].every((key) => b.has(key));
}

/** Keeps a graph up to date from the watch cache. */
export function watchGraph(cache: CacheReader): { graph: NodeGraph; ready(): Promise<void> } {
  const graph = new NodeGraph();
  const follow = (
    resource: GroupResource,
    apply: (namespace: string, name: string, object: UnknownObject | undefined) => void,
  ) => {
    cache.onChange(resource, (type, object) =>
      apply(object.metadata?.namespace ?? '', object.metadata?.name ?? '', type === 'DELETED' ? undefined : object),
    );
    return cache.ready(resource);
  };
  const all = Promise.all([
    follow({ group: '', resource: 'pods' }, (namespace, name, pod) =>
      graph.setPod(namespace, name, pod as Pod | undefined),
    ),
    follow({ group: '', resource: 'persistentvolumes' }, (_namespace, name, volume) =>
      graph.setVolume(name, volume as PersistentVolume | undefined),
    ),
    follow({ group: 'storage.k8s.io', resource: 'volumeattachments' }, (_namespace, name, attachment) =>
      graph.setAttachment(name, (attachment as Attachment | undefined)?.spec?.nodeName),
    ),
  ]).then(() => undefined);
  // Whoever needs the graph awaits ready(); nobody may be listening yet when the server stops early.
  all.catch(() => undefined);
  return { graph, ready: () => all };
}
