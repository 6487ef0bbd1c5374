/** VolumeZone: a bound volume that is labelled with a zone or region is used on nodes of it only. */
import { claimNamesOf } from '../../../../machinery/api/persistent-volumes.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../../machinery/client/resources.ts';
import { FixedState } from '../../framework/cycle-state.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip, unresolvable } from '../../framework/status.ts';

const name = 'VolumeZone';
const conflict = unresolvable('node(s) had no available volume zone');
const topologyLabels = [
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
];
/** Between the zones of a volume that is in several. */
const separator = '__';

export const volumeZone: PluginFactory = (context) => {
  const claims = context.store(persistentVolumeClaims);
  const volumes = context.store(persistentVolumes);
  return {
    name,
    preFilter: (state, { pod }) => {
      const wanted = claimNamesOf(pod).flatMap((claimName) => {
        const claim = claims.get(`${pod.metadata?.namespace}/${claimName}`);
        const labels = volumes.get(claim?.spec?.volumeName ?? '')?.metadata?.labels ?? {};
        return topologyLabels.flatMap((label) => {
          const value = labels[label];
          return value === undefined ? [] : [{ label, values: new Set(value.split(separator)) }];
        });
      });
      if (wanted.length === 0) return { status: skip };
      state.set(name, new FixedState(wanted));
      return undefined;
    },
    filter: (state, _info, { node }) => {
      const wanted = state.get<FixedState<{ label: string; values: Set<string> }[]>>(name)?.value ?? [];
      const labels = node?.metadata?.labels ?? {};
      // A node that is nowhere in particular is not judged.
      if (!topologyLabels.some((label) => labels[label] !== undefined)) return undefined;
      return wanted.every(({ label, values }) => values.has(labels[label] ?? '')) ? undefined : conflict;
    },
    events: [
      { resource: 'PersistentVolumeClaim', actions: ['Add', 'Update'] },
      { resource: 'PersistentVolume', actions: ['Add', 'Update'] },
      { resource: 'Node', actions: ['Add', 'UpdateNodeLabel'] },
    ],
  };
};
