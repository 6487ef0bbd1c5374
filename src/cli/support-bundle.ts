/** `kinit support-bundle` */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { type HostKeyFlags, hostKeyChecking } from './fleet-session.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal, list } from './session.ts';

interface Flags extends HostKeyFlags {
  inventory?: string;
  limit?: string[];
  out?: string;
}

export function addSupportBundleCommand(program: Command): void {
  program
    .command('support-bundle')
    .description('pack logs and state for somebody who helps; keys, tokens and passwords are left out')
    .option('-i, --inventory <file>', 'of all hosts of an inventory (default: of this host)')
    .option('--limit <hosts>', 'only these hosts, roles or groups', list)
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption())
    .option('--out <path>', 'the file, or with --inventory the folder; - is standard output')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { inventory, limit, out } = flags;
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const place = `kinit-support-${stamp}`;
  if (inventory !== undefined) {
    const { collectSupport } = await import('../installer/fleet/support-bundle.ts');
    const { fleetError } = await import('../installer/fleet/failures.ts');
    const folder = resolve(out ?? place);
    const options = {
      inventoryPath: inventory,
      folder,
      signal: interruptSignal(),
      askPassphrase,
      ...hostKeyChecking(flags),
    };
    const { files, failures } = await collectSupport({ ...options, ...(limit ? { limit } : {}) });
    for (const file of files) process.stdout.write(`${file}\n`);
    if (failures.length)
      throw fleetError(failures, files.length ? `${files.length} files are in ${folder}` : undefined);
    return;
  }
  if (limit) throw new KinitError('Usage', '--limit needs --inventory');
  const { saveSupportBundle, writeSupportBundle } = await import('../installer/health/support-bundle.ts');
  const host = localHost();
  if (out === '-') return writeSupportBundle(host, process.stdout);
  const path = resolve(out ?? `${place}-${hostname()}.tar.gz`);
  await saveSupportBundle(path, (output) => writeSupportBundle(host, output));
  process.stdout.write(`${path}\n`);
}
