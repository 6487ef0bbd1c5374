/** What systemd knows of the scheduled snapshots of this host. */
import { type Host, readText } from '../host/host.ts';
import { listSnapshots } from './snapshot-file.ts';

export const snapshotService = 'kinit-etcd-snapshot.service';
export const snapshotTimer = 'kinit-etcd-snapshot.timer';
export const unitPath = (unit: string) => `/etc/systemd/system/${unit}`;

export interface ScheduleState {
  /** As it was configured. */
  schedule: string;
  keep: number;
  directory: string;
  /** The timer runs. */
  active: boolean;
  /** Of the last run: `success`, `exit-code`, …; absent: there was none since the host started. */
  lastResult?: string;
  /** Time of the newest snapshot in the folder. */
  lastSnapshot?: string;
  snapshots: number;
  problem?: string;
}

const setting = (text: string, name: string) => new RegExp(`^# ${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';

/** Undefined when no snapshots are scheduled. */
export async function scheduleState(host: Host): Promise<ScheduleState | undefined> {
  const text = await readText(host, unitPath(snapshotTimer));
  if (text === undefined) return undefined;
  const show = async (unit: string, ...names: string[]) => {
    const { stdout } = await host.run('systemctl', ['show', `--property=${names.join(',')}`, unit], { observe: true });
    return (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  };
  const timer = await show(snapshotTimer, 'ActiveState');
  const service = await show(snapshotService, 'Result', 'ExecMainStartTimestamp');
  const directory = setting(text, 'directory');
  const entries = await listSnapshots(host, directory);
  const ran = service('ExecMainStartTimestamp') !== '';
  const active = timer('ActiveState') === 'active';
  const lastSnapshot = entries[0]?.info?.time;
  const failed = ran && service('Result') !== 'success';
  return {
    schedule: setting(text, 'schedule'),
    keep: Number(setting(text, 'keep')),
    directory,
    active,
    ...(ran ? { lastResult: service('Result') } : {}),
    ...(lastSnapshot ? { lastSnapshot } : {}),
    snapshots: entries.length,
    ...(failed
      ? { problem: `the last scheduled snapshot failed: journalctl -u ${snapshotService} -n 20` }
      : active
        ? {}
        : { problem: `snapshots are scheduled, but ${snapshotTimer} does not run: systemctl start ${snapshotTimer}` }),
  };
}
