/** Puts a scheduler together: informers, cache, queue, profiles and the loop. */

import { objectKey } from '../../../machinery/api/owners.ts';
import type { KubeObject, Pod } from '../../../machinery/api/types.ts';
import {
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
} from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../../machinery/events/recorder.ts';
import { createInformerFactory } from '../../../machinery/informer/factory.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { SchedulerCache } from '../cache/cache.ts';
import type { ProfileSettings, SchedulerSettings } from '../config/configuration.ts';
import { createNominations } from '../framework/nominations.ts';
import type { PluginContext, SchedulerPlugin } from '../framework/plugin.ts';
import { schedulerNameOf } from '../framework/pod-info.ts';
import { createProfile, type Profile } from '../framework/profile.ts';
import { before } from '../plugins/priority-sort/priority-sort.ts';
import { registry } from '../plugins/registry.ts';
import { SchedulingQueue } from '../queue/queue.ts';
import { createChooser } from './choose-node.ts';
import { handleNodes, handleOthers, handlePods } from './event-handlers.ts';
import { runScheduler, type SchedulerParts } from './scheduler.ts';

/** Pods that ended use nothing any more. */
const livePods = 'status.phase!=Succeeded,status.phase!=Failed';

/** What no plugin reads is not kept. */
function slim(object: KubeObject): KubeObject {
  if (!object.metadata) return object;
  const { managedFields: _fields, annotations: _annotations, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Of volumes and claims the annotations matter, and they are written back whole. */
function withoutManagedFields(object: KubeObject): KubeObject {
  if (!object.metadata) return object;
  const { managedFields: _fields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

const transforms = new Map<string, typeof slim>([
  [persistentVolumes.resource, withoutManagedFields],
  [persistentVolumeClaims.resource, withoutManagedFields],
]);

export interface AssembledScheduler {
  readonly queue: SchedulingQueue;
  readonly synced: boolean;
  run(signal: AbortSignal): Promise<void>;
}

export interface AssemblyOptions {
  client: Client;
  settings: SchedulerSettings;
  longestWaitMs: number;
  logger: Logger;
  recorder(profile: string): EventRecorder;
  observe: SchedulerParts['observe'];
}

/** Leaves out the extension points that the configuration disables for a plugin. */
function restricted(plugin: SchedulerPlugin, disabled: ReadonlySet<string>): SchedulerPlugin {
  const points = [...disabled].filter((entry) => entry.endsWith(`/${plugin.name}`));
  if (points.length === 0) return plugin;
  const left: Record<string, unknown> = { ...plugin };
  for (const entry of points) delete left[entry.slice(0, entry.indexOf('/'))];
  return left as unknown as SchedulerPlugin;
}

export function assembleScheduler(options: AssemblyOptions): AssembledScheduler {
  const { client, settings, logger } = options;
  const factory = createInformerFactory(client, (message) => logger.warn(message));
  const store: PluginContext['store'] = (type, given = {}) =>
    factory.informer(type, { transform: transforms.get(type.resource) ?? slim, ...given }).store;
  const podInformer = factory.informer(pods, { fieldSelector: livePods, transform: slim });
  const nodeInformer = factory.informer(nodes, { transform: slim });
  const namespaceInformer = factory.informer(namespaces, { transform: slim });

  const cache = new SchedulerCache();
  const stopping = new AbortController();
  const nominations = createNominations();
  const current = (pod: Pod) => podInformer.store.get(objectKey(pod));
  const recorders = new Map<string, EventRecorder>();
  const podEvent: SchedulerParts['podEvent'] = (profile, pod, type, reason, action, message, related) => {
    const recorder = recorders.get(profile) ?? options.recorder(profile);
    recorders.set(profile, recorder);
    recorder.event(referenceTo(pod, 'v1', 'Pod'), type, reason, message, {
      action,
      ...(related ? { related: referenceTo(related, 'v1', 'Pod') } : {}),
    });
  };
  const logError = (message: string, error: Error) => logger.error(`${message}: ${error.message}`);

  const profileOf = ({ schedulerName, disabled, weights, args }: ProfileSettings): Profile => {
    const holder: { profile?: Profile } = {};
    const context: PluginContext = {
      profileName: schedulerName,
      client,
      signal: stopping.signal,
      snapshot: () => cache,
      current,
      namespaceLabels: (namespace) => namespaceInformer.store.get(namespace)?.metadata?.labels ?? undefined,
      store,
      runner: () => {
        if (!holder.profile) throw new Error('the profile is not yet made');
        return holder.profile;
      },
      nominations,
      podEvent: (...event) => podEvent(schedulerName, ...event),
      logError,
    };
    const plugins = registry
      .filter(({ name }) => !disabled.has(name))
      .map(({ name, factory: make, weight }) => ({
        plugin: restricted(make(context, args.get(name) ?? {}), disabled),
        weight: weights.get(name) ?? weight,
      }));
    holder.profile = createProfile(schedulerName, plugins, nominations);
    return holder.profile;
  };
  const profiles = new Map(settings.profiles.map((profile) => [profile.schedulerName, profileOf(profile)]));
  const choosers = new Map(
    settings.profiles.map(({ schedulerName, percentageOfNodesToScore }) => [
      schedulerName,
      createChooser({ percentageOfNodesToScore }),
    ]),
  );

  const queue = new SchedulingQueue({
    less: before,
    preEnqueue: (info) => profiles.get(schedulerNameOf(info.pod))?.preEnqueue(info),
    registrations: new Map(
      [...profiles.values()].flatMap(({ plugins }) => plugins.map(({ name, events }) => [name, events ?? []] as const)),
    ),
    initialBackoffMs: settings.initialBackoffMs,
    maxBackoffMs: settings.maxBackoffMs,
    longestWaitMs: options.longestWaitMs,
  });

  const handled = { cache, queue, nominations, isOurs: (name: string) => profiles.has(name) };
  // Nodes first: a pod is not tried before the nodes are known.
  handleNodes(nodeInformer, handled);
  handlePods(podInformer, handled);
  handleOthers(namespaceInformer, 'Namespace', queue);
  const written = { transform: withoutManagedFields };
  handleOthers(factory.informer(persistentVolumes, written), 'PersistentVolume', queue);
  handleOthers(factory.informer(persistentVolumeClaims, written), 'PersistentVolumeClaim', queue);
  handleOthers(factory.informer(storageClasses, { transform: slim }), 'StorageClass', queue);

  let synced = false;
  return {
    queue,
    get synced() {
      return synced;
    },
    async run(signal) {
      signal.addEventListener('abort', () => stopping.abort(), { once: true });
      factory.start(signal);
      await factory.synced(signal);
      synced = true;
      logger.info({ nodes: cache.nodes.length, waiting: queue.sizes.active }, 'scheduling');
      await runScheduler(
        {
          client,
          cache,
          queue,
          nominations,
          profiles,
          choose: (profile, info, snapshot) => (choosers.get(profile.name) ?? createChooser())(profile, info, snapshot),
          current,
          podEvent,
          logError,
          observe: options.observe,
        },
        signal,
      );
      await Promise.all([...recorders.values()].map((recorder) => recorder.flush()));
    },
  };
}
