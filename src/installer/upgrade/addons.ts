/** The add-ons in the new version: when they may be upgraded, and what of them the cluster's owner has made their own. */
import type { ConfigMap, DaemonSet, Deployment, UnknownObject } from '../../machinery/api/types.ts';
import { daemonSets, deployments } from '../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import { kinitVersion } from '../../machinery/version.ts';
import { addons } from '../addons/catalog.ts';
import type { ImageSettings } from '../bundle/image-names.ts';
import type { AddonValues } from '../config/addon-values.ts';
import type { InitConfiguration } from '../config/types.ts';
import { isUserSupplied } from '../control-plane/component-config-hash.ts';
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';
import { applyPatches, type PatchFile } from '../patches/patches.ts';
import type { StoredCluster } from './configuration.ts';
import type { ClusterState } from './observe.ts';
import { nodesWithoutAddonImages } from './plan.ts';

export type UpgradedAddon = 'network' | 'proxy' | 'dns';

/**
 * Why the add-ons have to wait; undefined: they need not. As kubeadm has it, they come after the last control plane; and nobody
 * can pull kinit's images, so every node has to have them.
 */
export function addonsWait(
  state: Pick<ClusterState, 'nodes' | 'components'>,
  target: string,
  images: ImageSettings,
): { reason: string; advice: string } | undefined {
  const planes = state.components
    .filter(({ name, image }) => name === 'kube-apiserver' && !image.endsWith(`:${target}`))
    .map(({ node }) => node ?? '');
  if (planes.length) {
    return {
      reason: `the control planes ${planes.join(', ')} are not upgraded yet`,
      advice: 'kinit upgrade node on the last of them upgrades the add-ons',
    };
  }
  const nodes = nodesWithoutAddonImages(state, images);
  if (!nodes.length) return undefined;
  return {
    reason: `the nodes ${nodes.join(', ')} do not have the new images yet`,
    advice:
      'unpack the bundle on these hosts and run kinit upgrade node phase images load there, then kinit upgrade apply phase addon all here',
  };
}

const versionAnnotation = 'kinit.local/version';

/** Two bundles of one Kubernetes version have images of one name: the pods are made anew all the same. */
export function withVersion(object: UnknownObject): UnknownObject {
  if (object.kind !== 'DaemonSet' && object.kind !== 'Deployment') return object;
  const made = structuredClone(object) as UnknownObject & {
    spec: { template: { metadata: { annotations?: object } } };
  };
  const { metadata } = made.spec.template;
  metadata.annotations = { ...metadata.annotations, [versionAnnotation]: kinitVersion };
  return made;
}

const isMap = ({ kind, metadata }: UnknownObject, map: ConfigMap | undefined): boolean =>
  kind === 'ConfigMap' && map !== undefined && metadata?.name === map.metadata?.name;

/** The objects of an add-on, without the configuration that the owner of the cluster has written. */
export function upgradedAddon(
  name: UpgradedAddon,
  config: InitConfiguration,
  stored: Pick<StoredCluster, 'proxy' | 'dns'>,
  patches: readonly PatchFile[],
  values: AddonValues = {},
): UnknownObject[] {
  const objects = addons[name].objects(config, values);
  if (name === 'network') return objects.map(withVersion);
  if (name === 'proxy') {
    const own = stored.proxy !== undefined && isUserSupplied(stored.proxy);
    return objects.filter((object) => !(own && isMap(object, stored.proxy))).map(withVersion);
  }
  // Its ConfigMap stays, as kubeadm keeps a Corefile.
  return objects
    .filter((object) => !isMap(object, stored.dns))
    .map((object) =>
      object.kind === 'Deployment' ? (applyPatches('corednsdeployment', object, patches) as UnknownObject) : object,
    )
    .map(withVersion);
}

/** Why a DaemonSet or Deployment is not rolled out; undefined: it is. */
export function rolloutGate(object: DaemonSet | Deployment | undefined): string | undefined {
  if (!object) return 'it is not there';
  const { metadata, status } = object;
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    return 'its controller has not seen the change yet';
  if (object.kind === 'DaemonSet' || (status && 'desiredNumberScheduled' in status)) {
    const {
      desiredNumberScheduled = 0,
      updatedNumberScheduled = 0,
      numberAvailable = 0,
    } = (object as DaemonSet).status ?? {};
    if (updatedNumberScheduled < desiredNumberScheduled)
      return `${updatedNumberScheduled} of ${desiredNumberScheduled} pods are of the new version`;
    if (numberAvailable < desiredNumberScheduled)
      return `${numberAvailable} of ${desiredNumberScheduled} pods are available`;
    return undefined;
  }
  const { spec } = object as Deployment;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = (object as Deployment).status ?? {};
  const wanted = spec?.replicas ?? 1;
  if (updatedReplicas < wanted) return `${updatedReplicas} of ${wanted} pods are of the new version`;
  if (replicas > updatedReplicas) return `${replicas - updatedReplicas} old pods are still ending`;
  if (availableReplicas < wanted) return `${availableReplicas} of ${wanted} pods are available`;
  return undefined;
}

const types: Record<string, ResourceType<DaemonSet | Deployment>> = {
  DaemonSet: daemonSets as ResourceType<DaemonSet | Deployment>,
  Deployment: deployments as ResourceType<DaemonSet | Deployment>,
};

export interface RolloutWait {
  timeoutMs: number;
  signal: AbortSignal;
}

/** Waits for the workloads among the objects of an add-on. */
export async function waitForRollouts(
  client: Client,
  objects: readonly UnknownObject[],
  wait: RolloutWait,
): Promise<void> {
  for (const { kind, metadata } of objects) {
    const type = types[kind ?? ''];
    if (type && metadata?.name)
      await waitForRollout(client, type, { name: metadata.name, namespace: metadata.namespace ?? 'kube-system' }, wait);
  }
}

async function waitForRollout(
  client: Client,
  type: ResourceType<DaemonSet | Deployment>,
  ref: { name: string; namespace: string },
  { timeoutMs, signal }: RolloutWait,
): Promise<void> {
  let seen = '';
  await waitUntil(
    async () => {
      const object = await client.resource(type).find(ref, { signal });
      const reason = rolloutGate(object);
      seen = reason ?? '';
      return reason === undefined;
    },
    {
      timeoutMs,
      intervalMs: 500,
      signal,
      failure: () =>
        new KinitError('Timeout', `${ref.name} is not rolled out after ${Math.round(timeoutMs / 1000)} s`, {
          seen,
          advice: `look at: kubectl -n ${ref.namespace} get pods -o wide; then run the same command again`,
        }),
    },
  );
}
