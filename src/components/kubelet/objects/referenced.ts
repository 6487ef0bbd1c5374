/**
 * The objects that pods refer to (ConfigMaps, Secrets, tokens): each watched on its own, and only while a pod of this node uses
 * it, as the node authorizer allows.
 */
import type { ConfigMap, KubeObject, Secret } from '../../../machinery/api/types.ts';
import { configMaps, persistentVolumeClaims, persistentVolumes, secrets } from '../../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../../machinery/client/types.ts';
import { createInformerFactory } from '../../../machinery/informer/factory.ts';
import type { Informer } from '../../../machinery/informer/types.ts';
import type { ReferencedObjects } from '../types.ts';
import { referencesOf } from './references.ts';
import { createTokens } from './tokens.ts';

/** How long a first read may take, as upstream's watching cache. */
const syncMs = 1_000;
/** Objects asked for without a pod that is known to use them are kept this long. */
const idleMs = 60_000;

interface Watched<T extends KubeObject> {
  informer: Informer<T>;
  stop: AbortController;
  users: Set<string>;
  usedAt: number;
}

export interface ReferencedObjectsOptions {
  onError?(message: string): void;
}

/** @param client absent when the kubelet runs without an API server; everything is then an error */
export function createReferencedObjects(
  client: Client | undefined,
  options: ReferencedObjectsOptions = {},
): ReferencedObjects & { close(): void } {
  const onError = options.onError ?? (() => undefined);
  const maps = watchedObjects<ConfigMap>(client, configMaps, 'configmap', onError);
  const hidden = watchedObjects<Secret>(client, secrets, 'secret', onError);
  const tokens = createTokens(client);
  const sweep = setInterval(() => {
    maps.sweep();
    hidden.sweep();
  }, idleMs);
  sweep.unref();
  return {
    configMap: maps.read,
    secret: hidden.read,
    persistentVolumeClaim: async (namespace, name) =>
      reachable(client, 'persistentvolumeclaim', name).resource(persistentVolumeClaims).get({ namespace, name }),
    persistentVolume: async (name) =>
      reachable(client, 'persistentvolume', name).resource(persistentVolumes).get({ name }),
    serviceAccountToken: tokens.token,
    track(pod) {
      const uid = pod.metadata?.uid ?? '';
      const namespace = pod.metadata?.namespace ?? '';
      const used = referencesOf(pod);
      for (const name of used.configMaps) maps.use(uid, namespace, name);
      for (const name of used.secrets) hidden.use(uid, namespace, name);
    },
    release(podUid) {
      maps.release(podUid);
      hidden.release(podUid);
      tokens.release(podUid);
    },
    close() {
      clearInterval(sweep);
      maps.close();
      hidden.close();
    },
  };
}

function reachable(client: Client | undefined, kind: string, name: string): Client {
  if (!client) throw new Error(`cannot get ${kind} ${name}: no API server is configured`);
  return client;
}

function watchedObjects<T extends KubeObject>(
  client: Client | undefined,
  type: ResourceType<T>,
  kind: string,
  onError: (message: string) => void,
) {
  const known = new Map<string, Watched<T>>();
  const open = (namespace: string, name: string): Watched<T> => {
    const key = `${namespace}/${name}`;
    let entry = known.get(key);
    if (!entry) {
      if (!client) throw new Error(`cannot get ${kind} ${key}: no API server is configured`);
      const stop = new AbortController();
      const informer = createInformerFactory(client, onError).informer(type, {
        namespace,
        fieldSelector: `metadata.name=${name}`,
        transform: withoutManagedFields,
      });
      informer.run(stop.signal).catch((error: Error) => onError(error.message));
      entry = { informer, stop, users: new Set(), usedAt: Date.now() };
      known.set(key, entry);
    }
    entry.usedAt = Date.now();
    return entry;
  };
  const close = (key: string, entry: Watched<T>) => {
    entry.stop.abort();
    known.delete(key);
  };
  return {
    use(podUid: string, namespace: string, name: string) {
      if (client) open(namespace, name).users.add(podUid);
    },
    async read(namespace: string, name: string): Promise<T | undefined> {
      const { informer } = open(namespace, name);
      if (!informer.hasSynced && !(await settled(informer)))
        throw new Error(`failed to sync ${kind} cache: timed out waiting for the condition`);
      return informer.store.get(`${namespace}/${name}`);
    },
    release(podUid: string) {
      for (const [key, entry] of known) if (entry.users.delete(podUid) && entry.users.size === 0) close(key, entry);
    },
    sweep() {
      for (const [key, entry] of known)
        if (entry.users.size === 0 && Date.now() - entry.usedAt > idleMs) close(key, entry);
    },
    close() {
      for (const [key, entry] of known) close(key, entry);
    },
  };
}

async function settled(informer: Informer<KubeObject>): Promise<boolean> {
  try {
    await informer.synced(AbortSignal.timeout(syncMs));
    return true;
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return false;
    throw error;
  }
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata } as KubeObject;
}
