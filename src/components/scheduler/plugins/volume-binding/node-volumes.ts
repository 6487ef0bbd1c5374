/** Whether a pod's volumes can be had on a node, and which decisions that takes: pure. */
import { bestVolume, compareClaims, isUsableOn, storageClassOf } from '../../../../machinery/api/persistent-volumes.ts';
import { matchesRequirement } from '../../../../machinery/api/selectors.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../../../machinery/api/types.ts';
import { selectedNode } from '../../../../machinery/api/volume-annotations.ts';
import { type Status, unresolvable } from '../../framework/status.ts';
import { claimKeyOf, type PodClaims } from './pod-claims.ts';

const wrongNode = unresolvable("node(s) didn't match PersistentVolume's node affinity");
const volumeIsGone = unresolvable('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)');
const noneToBind = unresolvable("node(s) didn't find available persistent volumes to bind");

/** What is to be written once the node is chosen. */
export interface VolumeDecisions {
  bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  provision: PersistentVolumeClaim[];
}

export interface VolumeWorld {
  volume(name: string): PersistentVolume | undefined;
  volumes(): readonly PersistentVolume[];
  storageClass(name: string): StorageClass | undefined;
  /** Volumes that were promised, by name, to claims, by key. */
  promised: ReadonlyMap<string, string>;
  /** The node that the claim's volume is to be made on, when that is decided. */
  nodeOf(claim: PersistentVolumeClaim): string | undefined;
}

export function volumesOn(node: Node, claims: PodClaims, world: VolumeWorld): VolumeDecisions | { status: Status } {
  for (const claim of claims.bound) {
    const volume = world.volume(claim.spec?.volumeName ?? '');
    if (!volume) return { status: volumeIsGone };
    if (!isUsableOn(volume, node)) return { status: wrongNode };
  }
  const decisions: VolumeDecisions = { bind: [], provision: [] };
  const taken = new Set(world.promised.keys());
  // The smallest claims first, so that they leave the large volumes to the others.
  for (const claim of claims.delayed.toSorted(compareClaims)) {
    const decided = world.nodeOf(claim);
    if (decided !== undefined && decided !== node.metadata?.name) return { status: noneToBind };
    const volume =
      promisedTo(claim, world) ??
      (decided === undefined ? bestVolume(claim, world.volumes(), { node, taken }) : undefined);
    if (volume && !isUsableOn(volume, node)) return { status: noneToBind };
    if (volume) {
      taken.add(volume.metadata?.name ?? '');
      decisions.bind.push({ claim, volume });
    } else if (canProvision(world.storageClass(storageClassOf(claim)), node)) decisions.provision.push(claim);
    else return { status: noneToBind };
  }
  return decisions;
}

/** What another pod with the same claim was promised for it. */
function promisedTo(claim: PersistentVolumeClaim, { promised, volume }: VolumeWorld): PersistentVolume | undefined {
  if (promised.size === 0) return undefined;
  const key = claimKeyOf(claim);
  for (const [name, owner] of promised) if (owner === key) return volume(name);
  return undefined;
}

/** The decision as the claim itself has it. */
export const selectedNodeOf = (claim: PersistentVolumeClaim): string | undefined =>
  claim.metadata?.annotations?.[selectedNode];

function canProvision(storageClass: StorageClass | undefined, node: Node): boolean {
  if (!storageClass?.provisioner || storageClass.provisioner === 'kubernetes.io/no-provisioner') return false;
  const terms = storageClass.allowedTopologies ?? [];
  const allows = ({ matchLabelExpressions }: (typeof terms)[number]) =>
    (matchLabelExpressions ?? []).every(({ key, values }) =>
      matchesRequirement({ key, operator: 'In', values }, node.metadata?.labels),
    );
  return terms.length === 0 || terms.some(allows);
}
