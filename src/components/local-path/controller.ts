/** Makes volumes for claims of our classes and removes those that were given back: observe, decide, send a helper to the node. */
import { storageClassOf } from '../../machinery/api/persistent-volumes.ts';
import type { KubeObject, Node, PersistentVolume, PersistentVolumeClaim, Pod } from '../../machinery/api/types.ts';
import { selectedNode, withoutAnnotation } from '../../machinery/api/volume-annotations.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../machinery/client/errors.ts';
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
} from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { type EventRecorder, referenceTo } from '../../machinery/events/recorder.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import { keyOf } from '../../machinery/informer/store.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import { createWorkQueue, runWorkers } from '../../machinery/workqueue/queue.ts';
import { type HelperSettings, helperLabels, helperPod, outcomeOf, taskOf, volumeOf } from './helper-pods.ts';
import {
  finalizer,
  folderNameOf,
  isOurs,
  isToRemove,
  nodeOf,
  refusal,
  type Settings,
  volumeFor,
  volumeNameOf,
} from './volumes.ts';

export interface ControllerOptions {
  client: Client;
  recorder: EventRecorder;
  settings: Settings & HelperSettings;
  log: Logger;
  /** Told once everything has been read. */
  onReady(): void;
}

/** A failed helper stays so long before the next one is sent. */
const retryMs = 15_000;
/** Helpers on nodes that never answer are looked at now and then. */
const lookAgainMs = 30_000;

export async function runController(
  { client, recorder, settings, log, onReady }: ControllerOptions,
  signal: AbortSignal,
): Promise<void> {
  const factory = createInformerFactory(client, (message) => log.warn(message));
  const slim = { transform: withoutManagedFields };
  const claims = factory.informer(persistentVolumeClaims, slim);
  const volumes = factory.informer(persistentVolumes, slim);
  const classes = factory.informer(storageClasses, slim);
  const nodeInformer = factory.informer(nodes, { transform: namesAndLabels });
  const helpers = factory.informer(pods, {
    ...slim,
    namespace: settings.namespace,
    labelSelector: `app=${helperLabels.app}`,
  });
  const queue = createWorkQueue<string>({ baseDelayMs: 100, maxDelayMs: 60_000 });
  const api = {
    claims: client.resource(persistentVolumeClaims),
    volumes: client.resource(persistentVolumes),
    pods: client.resource(pods),
  };
  const tellClaim = (claim: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string) =>
    recorder.event(referenceTo(claim, 'v1', 'PersistentVolumeClaim'), type, reason, message);
  const tellVolume = (volume: KubeObject, reason: string, message: string) =>
    recorder.event(referenceTo(volume, 'v1', 'PersistentVolume'), 'Warning', reason, message);

  const addClaim = (claim: PersistentVolumeClaim) => queue.add(`claim:${keyOf(claim)}`);
  const addVolume = (volume: PersistentVolume) => queue.add(`volume:${keyOf(volume)}`);
  const addHelper = (pod: Pod) => queue.add(`helper:${keyOf(pod)}`);
  const addAll = () => {
    for (const claim of claims.store.list()) if (isOurs(claim, settings.provisioner)) addClaim(claim);
    for (const volume of volumes.store.list()) if (isToRemove(volume, settings.provisioner)) addVolume(volume);
  };
  claims.addHandler({ onAdd: addClaim, onUpdate: (_old, claim) => addClaim(claim) });
  volumes.addHandler({ onAdd: addVolume, onUpdate: (_old, volume) => addVolume(volume) });
  classes.addHandler({ onAdd: addAll, onUpdate: addAll });
  nodeInformer.addHandler({ onDelete: addAll });
  helpers.addHandler({
    onAdd: addHelper,
    onUpdate: (_old, pod) => addHelper(pod),
    onDelete: (pod) => {
      const { metadata, spec } = volumeOf(pod);
      queue.add(`volume:${metadata?.name}`);
      queue.add(`claim:${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`);
    },
  });

  /** Answers whether there is none of its name yet. */
  const send = async (pod: Pod): Promise<boolean> => {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    if (helpers.store.get(`${namespace}/${name}`)) return false;
    try {
      await api.pods.create(pod);
    } catch (error) {
      if (isAlreadyExists(error)) return false;
      throw error;
    }
    log.info({ helper: name, node: pod.spec?.nodeName }, 'sent a helper');
    return true;
  };

  const syncClaim = async (claim: PersistentVolumeClaim): Promise<void> => {
    if (!isOurs(claim, settings.provisioner)) return;
    const className = storageClassOf(claim);
    const storageClass = classes.store.get(className);
    if (storageClass?.provisioner !== settings.provisioner) return;
    const why = refusal(claim, storageClass);
    if (why) {
      const message = `failed to provision volume with StorageClass "${className}": ${why}`;
      return tellClaim(claim, 'Warning', 'ProvisioningFailed', message);
    }
    const nodeName = claim.metadata?.annotations?.[selectedNode];
    const name = volumeNameOf(claim);
    if (!nodeName || volumes.store.get(name)) return;
    // The scheduler may know a new node before this cache does.
    const node = nodeInformer.store.get(nodeName) ?? (await client.resource(nodes).find({ name: nodeName }));
    if (!node) return giveBack(claim, className, `node "${nodeName}" not found`);
    const volume = volumeFor(claim, storageClass, node, settings);
    const folder = folderNameOf(volume, settings.directory);
    if (await send(helperPod('make', volume, folder, nodeName, settings)))
      tellClaim(
        claim,
        'Normal',
        'Provisioning',
        `External provisioner is provisioning volume for claim "${keyOf(claim)}"`,
      );
  };

  /** Tells the scheduler to choose again. */
  const giveBack = async (claim: PersistentVolumeClaim, className: string, why: string): Promise<void> => {
    tellClaim(
      claim,
      'Warning',
      'ProvisioningFailed',
      `failed to provision volume with StorageClass "${className}": ${why}`,
    );
    await api.claims.update({ ...claim, metadata: withoutAnnotation(claim.metadata, selectedNode) });
  };

  const syncVolume = async (volume: PersistentVolume): Promise<void> => {
    if (!isToRemove(volume, settings.provisioner)) return;
    // The cache may not have seen yet that the last helper's work was done.
    const live = await api.volumes.find({ name: volume.metadata?.name ?? '' });
    if (!live || !isToRemove(live, settings.provisioner)) return;
    let folder: string;
    try {
      folder = folderNameOf(volume, settings.directory);
    } catch (error) {
      return tellVolume(volume, 'VolumeFailedDelete', (error as Error).message);
    }
    const node = nodeOf(volume, nodeInformer.store.list());
    if (node) {
      await send(helperPod('remove', volume, folder, node.metadata?.name ?? '', settings));
      return;
    }
    tellVolume(
      volume,
      'VolumeNodeGone',
      `the node of ${volume.spec?.local?.path} has left the cluster: nothing is removed there`,
    );
    await forget(volume);
  };

  /** The directory is gone: the object may go. */
  const forget = async (volume: PersistentVolume): Promise<void> => {
    const { name = '', uid } = volume.metadata ?? {};
    try {
      const live = await api.volumes.get({ name });
      if (live.metadata?.uid !== uid || !isToRemove(live, settings.provisioner)) return;
      const finalizers = (live.metadata?.finalizers ?? []).filter((other) => other !== finalizer);
      if (finalizers.length !== live.metadata?.finalizers?.length)
        await api.volumes.update({ ...live, metadata: { ...live.metadata, finalizers } });
      await api.volumes.delete({ name }, uid ? { preconditions: { uid } } : {});
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    log.info({ volume: name }, 'removed');
  };

  const syncHelper = async (pod: Pod): Promise<void> => {
    const task = taskOf(pod);
    if (!task || pod.metadata?.deletionTimestamp) return;
    const outcome = outcomeOf(pod, Date.now());
    if (outcome.state === 'busy') return queue.addAfter(`helper:${keyOf(pod)}`, lookAgainMs);
    const volume = volumeOf(pod);
    // Never believed more than this program itself could have written.
    folderNameOf(volume, settings.directory);
    if (outcome.state === 'done') {
      if (task === 'make') await offer(volume);
      else await forget(volume);
      return dismiss(pod);
    }
    const waitMs = outcome.endedMs + retryMs - Date.now();
    if (waitMs > 0) {
      if (task === 'remove') tellVolume(volume, 'VolumeFailedDelete', outcome.message);
      else tellClaim(claimOf(volume), 'Warning', 'ProvisioningFailed', failureText(volume, outcome.message));
      return queue.addAfter(`helper:${keyOf(pod)}`, waitMs);
    }
    if (task === 'make') {
      // Perhaps another node can do better.
      const { namespace, name } = volume.spec?.claimRef ?? {};
      const claim = claims.store.get(`${namespace}/${name}`);
      const isSame = claim?.metadata?.annotations?.[selectedNode] === pod.spec?.nodeName;
      if (claim && isSame && isOurs(claim, settings.provisioner))
        await giveBack(claim, storageClassOf(claim), outcome.message);
    }
    await dismiss(pod);
  };

  /** Also when the claim is gone meanwhile: then the binder releases the volume, and the directory is removed again. */
  const offer = async (volume: PersistentVolume): Promise<void> => {
    const name = volume.metadata?.name;
    try {
      await api.volumes.create(volume);
    } catch (error) {
      if (isAlreadyExists(error)) return;
      throw error;
    }
    log.info({ volume: name, path: volume.spec?.local?.path }, 'made');
    tellClaim(claimOf(volume), 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
  };

  const dismiss = async ({ metadata }: Pod): Promise<void> => {
    const { name = '', namespace = '', uid } = metadata ?? {};
    try {
      await api.pods.delete({ name, namespace }, { gracePeriodSeconds: 0, ...(uid ? { preconditions: { uid } } : {}) });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };

  factory.start(signal);
  await factory.synced(signal);
  onReady();
  await runWorkers(
    queue,
    4,
    async (key) => {
      const name = key.slice(key.indexOf(':') + 1);
      const claim = key.startsWith('claim:') ? claims.store.get(name) : undefined;
      const volume = key.startsWith('volume:') ? volumes.store.get(name) : undefined;
      const helper = key.startsWith('helper:') ? helpers.store.get(name) : undefined;
      if (claim) await syncClaim(claim);
      if (volume) await syncVolume(volume);
      if (helper) await syncHelper(helper);
    },
    signal,
    (key, error) => {
      if (!signal.aborted && !isConflict(error)) log.warn({ object: key }, error.message);
    },
  );
}

const failureText = ({ spec }: PersistentVolume, why: string) =>
  `failed to provision volume with StorageClass "${spec?.storageClassName}": ${why}`;

/** Enough of the claim for an event about it. */
const claimOf = ({ spec }: PersistentVolume): KubeObject => {
  const { namespace = '', name = '', uid = '' } = spec?.claimRef ?? {};
  return { metadata: { namespace, name, uid } };
};

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _dropped, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
}

function namesAndLabels(object: KubeObject): Node {
  const { name, uid, resourceVersion, labels } = object.metadata ?? {};
  return {
    metadata: {
      ...(name ? { name } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(labels ? { labels } : {}),
    },
  };
}
