/** What the kubelet follows of the API server: the pods that are bound to its node, the node itself, and services. */
import type { KubeObject, Node, Pod, Service } from '../../../machinery/api/types.ts';
import { nodes, pods, runtimeClasses, services } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import { createInformerFactory } from '../../../machinery/informer/factory.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { podAnnotations } from '../cri/labels.ts';
import { fullName, isMirrorPod } from '../pods/identity.ts';
import { createMirrorPods, type MirrorPods } from './mirror-pods.ts';

export interface ApiConnection {
  /** The pods of this node are known. */
  readonly ready: boolean;
  pods(): Pod[];
  pod(uid: string): Pod | undefined;
  mirror(fullName: string): Pod | undefined;
  node(): Node | undefined;
  /** Those that a pod's containers may know. Throws before they are known, unless the pod does not need to wait. */
  services(pod: Pod, mayMiss: boolean): Service[];
  /** Of a runtime class. */
  runtimeHandler(name: string): Promise<string>;
  mirrors: MirrorPods;
}

export function connectApi(options: {
  client: Client;
  nodeName: string;
  onChange(): void;
  log: Logger;
  signal: AbortSignal;
}): ApiConnection {
  const { client, nodeName, onChange, log, signal } = options;
  const factory = createInformerFactory(client, (message) => log.warn(message));
  const podInformer = factory.informer<Pod>(pods, {
    fieldSelector: `spec.nodeName=${nodeName}`,
    transform: (object) => seenPod(object as Pod),
  });
  const nodeInformer = factory.informer<Node>(nodes, { fieldSelector: `metadata.name=${nodeName}`, transform: slim });
  const serviceInformer = factory.informer<Service>(services, { transform: slim });
  podInformer.addIndex('uid', (pod) => [pod.metadata?.uid ?? '']);
  // Several changes at once are one look.
  let scheduled = false;
  // Pods wait for the node and for services: their containers would be made without what these say.
  const ready = () => podInformer.hasSynced && serviceInformer.hasSynced && nodeInformer.hasSynced;
  const schedule = () => {
    if (scheduled || !ready()) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      onChange();
    });
  };
  podInformer.addHandler({ onAdd: schedule, onUpdate: schedule, onDelete: schedule });
  factory.start(signal);
  factory.synced(signal).then(schedule, () => undefined);

  const mirrorsByName = () =>
    new Map(
      podInformer.store
        .list()
        .filter(isMirrorPod)
        .map((pod) => [fullName(pod), pod]),
    );
  const connection: ApiConnection = {
    get ready() {
      return ready();
    },
    pods: () => (ready() ? podInformer.store.list() : []),
    pod: (uid) => podInformer.store.byIndex('uid', uid)[0],
    mirror: (name) => {
      const [podName, namespace] = name.split('_');
      const found = podInformer.store.get(`${namespace}/${podName}`);
      return found && isMirrorPod(found) ? found : undefined;
    },
    node: () => nodeInformer.store.get(nodeName),
    services(pod, mayMiss) {
      if (!serviceInformer.hasSynced && !mayMiss)
        throw new Error('services have not yet been read at least once, cannot construct envvars');
      const namespace = pod.metadata?.namespace;
      return serviceInformer.store
        .list()
        .filter(
          ({ metadata }) =>
            metadata?.namespace === namespace || (metadata?.namespace === 'default' && metadata.name === 'kubernetes'),
        );
    },
    async runtimeHandler(name) {
      const found = await client.resource(runtimeClasses).find({ name }, { signal });
      if (!found) throw new Error(`failed to get sandbox runtime: no runtime for "${name}" is configured`);
      return found.handler;
    },
    mirrors: createMirrorPods({
      client,
      nodeName,
      node: () => nodeInformer.store.get(nodeName),
      mirrors: () => (podInformer.hasSynced ? mirrorsByName() : undefined),
      log,
      signal,
    }),
  };
  return connection;
}

function slim(object: KubeObject): KubeObject {
  const { managedFields: _dropped, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
}

/** Marked with where it comes from, as every kubelet marks its pods; kind and version are not part of lists. */
function seenPod(pod: Pod): Pod {
  const { managedFields: _dropped, ...metadata } = pod.metadata ?? {};
  if (metadata.annotations?.[podAnnotations.configMirror] !== undefined)
    return { ...pod, apiVersion: 'v1', kind: 'Pod', metadata };
  const annotations = {
    ...metadata.annotations,
    [podAnnotations.configSeen]: metadata.creationTimestamp ?? '',
    [podAnnotations.configSource]: 'api',
  };
  return { ...pod, apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, annotations } };
}
