/**
 * VolumeBinding: a pod's claims must exist and be bound, or be bindable on the node; the node must be one that their volumes can
 * be used on. Claims of classes with WaitForFirstConsumer get their volume, or the name of the node to make it on, here.
 */
import { claimNamesOf } from '../../../../machinery/api/persistent-volumes.ts';
import type { PersistentVolumeClaim } from '../../../../machinery/api/types.ts';
import { persistentVolumeClaims, persistentVolumes, storageClasses } from '../../../../machinery/client/resources.ts';
import type { CloneableState } from '../../framework/cycle-state.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip, status } from '../../framework/status.ts';
import { type BindContext, waitUntilBound, writeDecisions } from './bind-volumes.ts';
import { selectedNodeOf, type VolumeDecisions, type VolumeWorld, volumesOn } from './node-volumes.ts';
import { claimKeyOf, type PodClaims, podClaims } from './pod-claims.ts';

const name = 'VolumeBinding';
const defaultTimeoutSeconds = 600;

class PodVolumes implements CloneableState {
  readonly claims: PodClaims;
  readonly byNode = new Map<string, VolumeDecisions>();
  constructor(claims: PodClaims) {
    this.claims = claims;
  }
  /** Decisions are of the last full look at a node; preemption's trials come to the same. */
  clone(): this {
    return this;
  }
}

const isEmpty = ({ bind, provision }: VolumeDecisions) => bind.length + provision.length === 0;

function bindTimeoutSeconds({ bindTimeoutSeconds: given = defaultTimeoutSeconds }: Record<string, unknown>): number {
  if (typeof given === 'number' && given >= 0) return given;
  throw new Error(
    `VolumeBindingArgs: bindTimeoutSeconds: Invalid value: ${JSON.stringify(given)}: invalid BindTimeoutSeconds, should not be a negative value`,
  );
}

export const volumeBinding: PluginFactory = (context, args) => {
  const claims = context.store(persistentVolumeClaims);
  const volumes = context.store(persistentVolumes);
  const classes = context.store(storageClasses);
  const timeoutMs = bindTimeoutSeconds(args) * 1000;
  // Decisions whose writes the informers have not shown yet.
  const promised = new Map<string, string>();
  const nodes = new Map<string, string>();
  const world: VolumeWorld = {
    volume: (volumeName) => volumes.get(volumeName),
    volumes: () => volumes.list(),
    storageClass: (className) => classes.get(className),
    promised,
    nodeOf: (claim: PersistentVolumeClaim) => nodes.get(claimKeyOf(claim)) ?? selectedNodeOf(claim),
  };
  const sources = { claim: (key: string) => claims.get(key), storageClass: world.storageClass };
  const forget = ({ bind, provision }: VolumeDecisions) => {
    for (const { volume } of bind) promised.delete(volume.metadata?.name ?? '');
    for (const claim of provision) nodes.delete(claimKeyOf(claim));
  };
  return {
    name,
    preFilter: (state, { pod }) => {
      if (claimNamesOf(pod).length === 0) return { status: skip };
      const found = podClaims(pod, sources);
      if ('status' in found) return found;
      state.set(name, new PodVolumes(found));
      return undefined;
    },
    filter: (state, _info, { node, name: nodeName }) => {
      const found = state.get<PodVolumes>(name);
      if (!found || !node) return undefined;
      const decisions = volumesOn(node, found.claims, world);
      if ('status' in decisions) return decisions.status;
      found.byNode.set(nodeName, decisions);
      return undefined;
    },
    reserve: (state, _info, nodeName) => {
      const decisions = state.get<PodVolumes>(name)?.byNode.get(nodeName);
      for (const { claim, volume } of decisions?.bind ?? [])
        promised.set(volume.metadata?.name ?? '', claimKeyOf(claim));
      for (const claim of decisions?.provision ?? []) nodes.set(claimKeyOf(claim), nodeName);
      return undefined;
    },
    unreserve: (state, _info, nodeName) => {
      const decisions = state.get<PodVolumes>(name)?.byNode.get(nodeName);
      if (decisions) forget(decisions);
    },
    preBindPreFlight: (state, _info, nodeName) => {
      const decisions = state.get<PodVolumes>(name)?.byNode.get(nodeName);
      return decisions && !isEmpty(decisions) ? undefined : skip;
    },
    preBind: async (state, { pod }, nodeName) => {
      const decisions = state.get<PodVolumes>(name)?.byNode.get(nodeName);
      if (!decisions || isEmpty(decisions)) return undefined;
      const binding: BindContext = {
        client: context.client,
        claim: sources.claim,
        volume: world.volume,
        node: () => context.snapshot().get(nodeName)?.node,
        isPodGone: () => context.current(pod)?.metadata?.uid !== pod.metadata?.uid,
        nodeName,
        timeoutMs,
        signal: context.signal,
      };
      try {
        const written = await writeDecisions(decisions, binding);
        await waitUntilBound(decisions, written, binding);
      } catch (error) {
        return status('Error', `binding volumes: ${(error as Error).message}`);
      }
      forget(decisions);
      return undefined;
    },
    events: [
      {
        resource: 'PersistentVolumeClaim',
        actions: ['Add', 'Update'],
        hint: (pod, { newObject }) =>
          newObject?.metadata?.namespace === pod.metadata?.namespace &&
          claimNamesOf(pod).includes(newObject?.metadata?.name ?? ''),
      },
      { resource: 'PersistentVolume', actions: ['Add', 'Update'] },
      { resource: 'StorageClass', actions: ['Add', 'Update'] },
      { resource: 'Node', actions: ['Add', 'UpdateNodeLabel'] },
    ],
  };
};
