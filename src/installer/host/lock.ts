/** One kinit at a time changes a host. */
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from './host.ts';

const lockPath = '/run/kinit.lock';

/** @returns releases the lock */
export async function lockHost(host: Host): Promise<() => Promise<void>> {
  if (host.dryRun) return async () => undefined;
  const holder = (await readText(host, lockPath))?.trim();
  if (holder && holder !== String(process.pid) && (await exists(host, `/proc/${holder}`))) {
    const command = ((await readText(host, `/proc/${holder}/cmdline`)) ?? '').replaceAll('\0', ' ').trim();
    // A number that another program has by now is no lock.
    if (command.includes('kinit')) {
      throw new KinitError('Locked', 'another kinit works on this host', {
        seen: `pid ${holder}: ${command}`,
        advice: 'wait until it has ended',
      });
    }
  }
  await host.makeDirectory('/run');
  await host.writeFile(lockPath, `${process.pid}\n`);
  return () => host.remove(lockPath);
}
