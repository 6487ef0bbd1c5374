/** Time synchronization. */
import { timeKeeper } from '../host/time-sync.ts';
import { type Check, warning } from './check.ts';

export const timeSync: Check = async ({ host }) =>
  (await timeKeeper(host))
    ? []
    : [
        warning(
          'TimeSync',
          'nothing keeps the clock of this host; certificates and leases need clocks that agree',
          'enable chronyd or systemd-timesyncd',
        ),
      ];
