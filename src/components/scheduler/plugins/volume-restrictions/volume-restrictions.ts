/** VolumeRestrictions: a claim with the access mode ReadWriteOncePod is used by one pod of the cluster at a time. */
import { claimNamesOf } from '../../../../machinery/api/persistent-volumes.ts';
import type { Pod } from '../../../../machinery/api/types.ts';
import { persistentVolumeClaims } from '../../../../machinery/client/resources.ts';
import type { CloneableState } from '../../framework/cycle-state.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { skip, unschedulable } from '../../framework/status.ts';

const name = 'VolumeRestrictions';
const inUse = unschedulable(
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

const keysOf = (pod: Pod) => claimNamesOf(pod).map((claimName) => `${pod.metadata?.namespace}/${claimName}`);

class Conflicts implements CloneableState {
  readonly keys: ReadonlySet<string>;
  count: number;
  constructor(keys: ReadonlySet<string>, count = 0) {
    this.keys = keys;
    this.count = count;
  }
  note(pod: Pod, sign: 1 | -1): void {
    for (const key of keysOf(pod)) if (this.keys.has(key)) this.count += sign;
  }
  clone(): this {
    return new Conflicts(this.keys, this.count) as this;
  }
}

export const volumeRestrictions: PluginFactory = (context) => {
  const claims = context.store(persistentVolumeClaims);
  return {
    name,
    preFilter: (state, { pod }, snapshot) => {
      const single = keysOf(pod).filter((key) => claims.get(key)?.spec?.accessModes?.includes('ReadWriteOncePod'));
      if (single.length === 0) return { status: skip };
      const conflicts = new Conflicts(new Set(single));
      for (const node of snapshot.nodes) for (const other of node.pods.values()) conflicts.note(other.pod, 1);
      state.set(name, conflicts);
      return undefined;
    },
    filter: (state) => ((state.get<Conflicts>(name)?.count ?? 0) > 0 ? inUse : undefined),
    addPod: (state, _info, added) => state.get<Conflicts>(name)?.note(added.pod, 1),
    removePod: (state, _info, removed) => state.get<Conflicts>(name)?.note(removed.pod, -1),
    events: [
      {
        resource: 'AssignedPod',
        actions: ['Delete'],
        hint: (pod, { oldObject }) => {
          const mine = keysOf(pod);
          return keysOf(oldObject as Pod).some((key) => mine.includes(key));
        },
      },
      { resource: 'PersistentVolumeClaim', actions: ['Add', 'Update'] },
    ],
  };
};
