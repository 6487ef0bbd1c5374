/**
 * Follows every resource that can be listed, watched and deleted. Where controllers share an informer of a resource already it
 * serves here too; the others are followed by their metadata alone, of which only what the graph needs is kept. No watch
 * is held of cluster-scoped resources without any objects, and these are many: they are seldom owned by anything, and a look
 * now and then tells when the first object has come.
 */
import type { KubeObject } from '../../../../machinery/api/types.ts';
import type { Client } from '../../../../machinery/client/types.ts';
import { createInformerFactory } from '../../../../machinery/informer/factory.ts';
import type { Informer } from '../../../../machinery/informer/types.ts';
import type { DiscoveredResource, Discovery } from '../../framework/discovery.ts';
import type { OwnerGraph } from './graph.ts';

interface Monitor {
  type: DiscoveredResource;
  informer: Informer<KubeObject>;
  stop(): void;
}

/** Events come and go by the thousand, and own nothing. */
const ignored = new Set(['/events', 'events.k8s.io/events']);

const keyOf = ({ group, resource }: DiscoveredResource) => `${group}/${resource}`;

export function collectable({ resources }: Discovery): DiscoveredResource[] {
  return resources.filter(
    (type) => ['delete', 'list', 'watch'].every((verb) => type.verbs.includes(verb)) && !ignored.has(keyOf(type)),
  );
}

function slim({ metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = metadata ?? {};
  return {
    metadata: {
      ...(name ? { name } : {}),
      ...(namespace ? { namespace } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(ownerReferences?.length ? { ownerReferences } : {}),
      ...(finalizers?.length ? { finalizers } : {}),
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
  };
}

export interface MonitorOptions {
  client: Client;
  graph: OwnerGraph;
  /** An informer that others use, of this type and without selectors. */
  shared(type: DiscoveredResource): Informer<KubeObject> | undefined;
  signal: AbortSignal;
  onError(message: string): void;
}

export class Monitors {
  readonly #options: MonitorOptions;
  readonly #monitors = new Map<string, Monitor>();
  /** Cluster-scoped resources that had no objects when they were last looked at. */
  readonly #empty = new Map<string, DiscoveredResource>();

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** Starts and stops monitors so that they match what discovery says, and which resources have objects. */
  async update(discovery: Discovery): Promise<void> {
    const wanted = new Map(collectable(discovery).map((type) => [keyOf(type), type]));
    for (const [key, monitor] of this.#monitors) {
      const type = wanted.get(key);
      const group = monitor.type.group;
      // A server of an aggregated API that does not answer is no reason to forget its objects.
      if (!type && discovery.failed.some((version) => version.startsWith(`${group}/`))) continue;
      if (type?.version === monitor.type.version && type.kind === monitor.type.kind) continue;
      monitor.stop();
      this.#monitors.delete(key);
    }
    for (const key of this.#empty.keys()) if (!wanted.has(key)) this.#empty.delete(key);
    for (const [key, type] of wanted) {
      if (this.#monitors.has(key)) continue;
      if (type.namespaced || this.#options.shared(type)) this.#monitors.set(key, this.#start(type));
      else this.#empty.set(key, type);
    }
    await this.#lookForFirstObjects();
  }

  async #lookForFirstObjects(): Promise<void> {
    const { client, signal, onError } = this.#options;
    // One after the other, over one connection: nothing waits for it.
    for (const [key, type] of this.#empty) {
      try {
        const api = client.dynamic({ ...type, metadataOnly: true });
        const { items } = await api.list({ limit: 1, resourceVersion: '0', signal });
        if (items.length === 0) continue;
        this.#empty.delete(key);
        this.#monitors.set(key, this.#start(type));
      } catch (error) {
        if (signal.aborted) return;
        onError(`${key}: ${(error as Error).message}`);
      }
    }
  }

  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#monitors.values()].map(({ informer }) => informer.synced(signal)));
  }

  #start(type: DiscoveredResource): Monitor {
    const { client, graph, shared, signal, onError } = this.#options;
    const stopping = new AbortController();
    const existing = shared(type);
    const factory = createInformerFactory(client, onError);
    const informer = existing ?? factory.informer<KubeObject>({ ...type, metadataOnly: true }, { transform: slim });
    const removeHandler = informer.addHandler({
      onAdd: (object) => graph.observe(type, object),
      onUpdate: (old, object) => {
        if (differs(old, object)) graph.observe(type, object);
      },
      onDelete: ({ metadata }) => graph.remove(metadata?.uid ?? ''),
    });
    if (!existing) factory.start(AbortSignal.any([signal, stopping.signal]));
    return {
      type,
      informer,
      stop: () => {
        removeHandler();
        stopping.abort(new Error('the resource is gone'));
        // What is left of a resource that no longer exists is gone too.
        if (!existing) for (const { metadata } of informer.store.list()) graph.remove(metadata?.uid ?? '');
      },
    };
  }
}

/** Whether something changed that the graph knows of: most updates change the status alone. */
function differs({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return (
    a?.deletionTimestamp !== b?.deletionTimestamp ||
    JSON.stringify(a?.finalizers) !== JSON.stringify(b?.finalizers) ||
    JSON.stringify(a?.ownerReferences) !== JSON.stringify(b?.ownerReferences)
  );
}
