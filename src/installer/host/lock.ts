/** One kinit at a time changes a host. */
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from './host.ts';

/** The holder's process id; below it when that process started, since ids are given again. */
const lockPath = '/run/kinit.lock';

/** In clock ticks since the boot. */
async function startOf(host: Host, pid: string): Promise<string> {
  const text = (await readText(host, `/proc/${pid}/stat`)) ?? '';
  // The second field is a name in brackets, which may hold anything.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** The holder's command line; undefined when it is gone. */
async function holderOf(host: Host, [pid = '', start]: readonly string[]): Promise<string | undefined> {
  if (!/^\d+$/.test(pid) || !(await exists(host, `/proc/${pid}`))) return undefined;
  if (start && start !== (await startOf(host, pid))) return undefined;
  const command = ((await readText(host, `/proc/${pid}/cmdline`)) ?? '').replaceAll('\0', ' ').trim();
  // Dead, and not yet waited for.
  if (command === '' || (!start && !command.includes('kinit'))) return undefined;
  return `pid ${pid}: ${command}`;
}

/** @returns releases the lock */
export async function lockHost(host: Host): Promise<() => Promise<void>> {
  if (host.dryRun) return async () => undefined;
  await host.makeDirectory('/run');
  const mine = `${process.pid}\n${await startOf(host, String(process.pid))}\n`;
  while (!(await host.writeNewFile(lockPath, mine))) {
    const held = await readText(host, lockPath);
    // Released in this moment.
    if (held === undefined) continue;
    const holder = await holderOf(host, held.split('\n'));
    if (holder !== undefined && held !== mine) {
      throw new KinitError('Locked', 'another kinit works on this host', {
        seen: holder,
        advice: 'wait until it has ended',
      });
    }
    // Left over from a run that was killed.
    if ((await readText(host, lockPath)) === held) await host.remove(lockPath);
  }
  return () => host.remove(lockPath);
}
