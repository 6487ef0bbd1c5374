/** One kinit at a time changes a host. */
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from './host.ts';
import { commandLine, commandsLeftBy, processStart } from './processes.ts';
import { waitUntil } from './wait.ts';

/** The holder's process id; below it when that process started, since ids are given again. */
const lockPath = '/run/kinit.lock';

/** How long the commands of a kinit that was killed may take to end. */
const commandsMs = 120_000;

/** The holder's command line; undefined when it is gone. */
async function holderOf(host: Host, [pid = '', start]: readonly string[]): Promise<string | undefined> {
  if (!/^\d+$/.test(pid) || !(await exists(host, `/proc/${pid}`))) return undefined;
  if (start && start !== (await processStart(host, pid))) return undefined;
  const command = await commandLine(host, pid);
  // Dead, and not yet waited for.
  if (command === '' || (!start && !command.includes('kinit'))) return undefined;
  return `pid ${pid}: ${command}`;
}

async function waitForCommands(host: Host, pid: string): Promise<void> {
  let left: string[] = [];
  const ended = async () => {
    left = await commandsLeftBy(host, pid);
    return left.length === 0;
  };
  const failure = () =>
    new KinitError('Timeout', 'commands of a kinit that was killed have not ended', {
      seen: left.join('\n'),
      advice: 'wait until they have ended, or end them, and run the same command again',
    });
  if (/^\d+$/.test(pid)) await waitUntil(ended, { timeoutMs: commandsMs, failure });
}

/** @returns releases the lock */
export async function lockHost(host: Host): Promise<() => Promise<void>> {
  if (host.dryRun) return async () => undefined;
  await host.makeDirectory('/run');
  const mine = `${process.pid}\n${await processStart(host, String(process.pid))}\n`;
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
    // Left over from a run that was killed; what it has started goes on without it, and nobody else may work beside that.
    await waitForCommands(host, held.split('\n')[0] ?? '');
    if ((await readText(host, lockPath)) === held) await host.remove(lockPath);
  }
  return () => host.remove(lockPath);
}
