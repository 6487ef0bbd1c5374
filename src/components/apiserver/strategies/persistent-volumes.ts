/** Persistent volumes tell since when they are in their phase. */
import { formatTime } from '../../../machinery/api/time.ts';
import type { PersistentVolume } from '../../../machinery/api/types.ts';
import { keepAllButStatus } from '../rest/status.ts';
import { type Strategy, section } from './strategy.ts';

export const persistentVolumes: Strategy = {
  returnDeleted: true,
  prepareForCreate(object, { now }) {
    object['status'] = { phase: 'Pending', lastPhaseTransitionTime: formatTime(now) };
  },
  prepareSubresource: {
    status(next, old, { now }) {
      keepAllButStatus(next, old);
      const [before, after] = [(old as PersistentVolume).status, (next as PersistentVolume).status];
      const isTold =
        after?.lastPhaseTransitionTime && after.lastPhaseTransitionTime !== before?.lastPhaseTransitionTime;
      if (isTold) return;
      const time = before?.phase === after?.phase ? before?.lastPhaseTransitionTime : formatTime(now);
      if (time) section(next, 'status')['lastPhaseTransitionTime'] = time;
    },
  },
};
