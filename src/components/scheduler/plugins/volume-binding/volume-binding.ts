/** VolumeBinding: a pod's claims must exist and be bound, and the node must be one that their volumes can be used on. */
import { matchesNodeSelector } from '../../../../machinery/api/node-affinity.ts';
import type { NodeSelector, PersistentVolumeClaim, Pod } from '../../../../machinery/api/types.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../../machinery/client/resources.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { type Status, skip, unresolvable } from '../../framework/status.ts';

const name = 'VolumeBinding';
const wrongNode = unresolvable("node(s) didn't match PersistentVolume's node affinity");
const unbound = unresolvable('pod has unbound immediate PersistentVolumeClaims');

/** Names of the claims that a pod uses; ephemeral volumes have a claim named after pod and volume. */
export const claimNamesOf = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => {
    if (volume.persistentVolumeClaim) return [volume.persistentVolumeClaim.claimName];
    return volume.ephemeral ? [`${pod.metadata?.name ?? ''}-${volume.name}`] : [];
  });

/** What is wrong with a claim, whatever the node. */
export function claimProblem(claimName: string, claim: PersistentVolumeClaim | undefined): Status | undefined {
  if (!claim) return unresolvable(`persistentvolumeclaim "${claimName}" not found`);
  if (claim.status?.phase === 'Lost')
    return unresolvable(
      `persistentvolumeclaim "${claimName}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`,
    );
  if (claim.metadata?.deletionTimestamp) return unresolvable(`persistentvolumeclaim "${claimName}" is being deleted`);
  return claim.spec?.volumeName ? undefined : unbound;
}

export const volumeBinding: PluginFactory = (context) => {
  const claims = context.store(persistentVolumeClaims);
  const volumes = context.store(persistentVolumes);
  return {
    name,
    preFilter: (state, { pod }) => {
      const names = claimNamesOf(pod);
      if (names.length === 0) return { status: skip };
      const affinities: NodeSelector[] = [];
      for (const claimName of names) {
        const claim = claims.get(`${pod.metadata?.namespace ?? ''}/${claimName}`);
        const problem = claimProblem(claimName, claim);
        if (problem) return { status: problem };
        const required = volumes.get(claim?.spec?.volumeName ?? '')?.spec?.nodeAffinity?.required;
        if (required) affinities.push(required);
      }
      state.set(name, new FixedState(affinities));
      return undefined;
    },
    filter: (state, _info, { node }) => {
      const affinities = state.get<FixedState<NodeSelector[]>>(name)?.value ?? [];
      return affinities.every((affinity) => node && matchesNodeSelector(affinity, node)) ? undefined : wrongNode;
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
      { resource: 'Node', actions: ['Add', 'UpdateNodeLabel'] },
    ],
  };
};
