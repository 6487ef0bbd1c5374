/** Scheduled snapshots: a timer and a service of systemd on each control plane. */

import { bundlePaths } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { SnapshotSettings } from '../config/types.ts';
import type { Changes } from '../host/changes.ts';
import { exists, runOrFail } from '../host/host.ts';
import { onCalendar } from './calendar.ts';
import { snapshotService, snapshotTimer, unitPath } from './schedule-state.ts';

/** Makes the host's units what the settings say. @returns whether anything changed */
export async function scheduleSnapshots(changes: Changes, settings: SnapshotSettings): Promise<boolean> {
  const { host } = changes;
  const { schedule, keep, directory } = settings;
  if (schedule === 'off') return stopSnapshots(changes);
  const values = { kinit: `${bundlePaths.bin}/kinit`, schedule, calendar: onCalendar(schedule), keep, directory };
  if (!(await exists(host, directory))) await changes.claim(directory, 'shared');
  const service = await changes.file(unitPath(snapshotService), renderTemplate(`systemd/${snapshotService}`, values));
  const timer = await changes.file(unitPath(snapshotTimer), renderTemplate(`systemd/${snapshotTimer}`, values));
  if (service || timer) await runOrFail(host, 'systemctl', ['daemon-reload']);
  const state = await changes.unit(snapshotTimer, { enabled: true, active: true });
  if (timer && !state) await runOrFail(host, 'systemctl', ['restart', snapshotTimer]);
  return service || timer || state;
}

async function stopSnapshots(changes: Changes): Promise<boolean> {
  const { host } = changes;
  if (!(await exists(host, unitPath(snapshotTimer)))) return false;
  await changes.unit(snapshotTimer, { enabled: false, active: false });
  for (const unit of [snapshotTimer, snapshotService]) await changes.removeFile(unitPath(unit));
  await runOrFail(host, 'systemctl', ['daemon-reload']);
  // A run that failed is not to be told for ever.
  await host.run('systemctl', ['reset-failed', snapshotService]);
  return true;
}
