/** `kinit etcd restore` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { RestoreFlags } from '../installer/phases/run-etcd-restore.ts';
import type { FleetFlags } from './fleet-session.ts';
import { addFleetOptions } from './node-options.ts';
import { drawSession, list, type OutputFlags, outputOption } from './session.ts';

type Flags = RestoreFlags & OutputFlags & FleetFlags & { force?: boolean; host?: string };

export function addEtcdRestoreCommands(etcd: Command): void {
  const restore = (parent: Command) =>
    addFleetOptions(
      outputOption(
        parent
          .command('restore')
          .argument('<file>', 'the snapshot')
          .description('give the cluster the state of a snapshot, or make this host its control plane again'),
      )
        .option('-i, --inventory <file>', 'restore the control planes of an inventory, over SSH')
        .option('--limit <hosts>', 'with --inventory: only these control planes; the others are gone', list)
        .option('--host <name>', 'with --inventory: the control plane that gets the data (default: the first one)')
        .option('-f, --force', 'do not ask')
        .option('--pki-key-file <file>', 'the key that encrypts the keys beside the snapshot')
        .option('--dry-run', 'check the snapshot, print what would change, and change nothing')
        .option('--config <file>', 'on a new host: configuration file (default: the one in the notes of the snapshot)')
        .option('--node-name <name>', 'on a new host: name of the node')
        .option('--apiserver-advertise-address <ip>', 'on a new host: address at which the API server is reached')
        .option('--control-plane-endpoint <host:port>', 'on a new host: stable address of the control plane')
        .option('--ignore-preflight-errors <checks>', 'on a new host: checks whose errors become warnings', list),
    ).action(runRestore);
  restore(etcd);
  const snapshot = etcd.commands.find((command) => command.name() === 'snapshot');
  if (snapshot) restore(snapshot);
}

async function confirm(flags: Flags): Promise<void> {
  if (flags.force || flags.dryRun) return;
  if (!process.stdin.isTTY) {
    throw new KinitError('Usage', 'kinit etcd restore asks before it begins; give --force where nobody can answer');
  }
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const whose = flags.inventory ? `the cluster of ${flags.inventory}` : 'this host';
  const answer = await lines.question(
    `All that was written after the snapshot is lost to ${whose}${flags.inventory ? '; its other control planes are reset' : ''}. Proceed? [y/N] `,
  );
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new KinitError('Usage', 'aborted; nothing was changed');
}

async function runRestore(file: string, flags: Flags): Promise<void> {
  if (flags.host && !flags.inventory) throw new KinitError('Usage', '--host is for --inventory');
  await confirm(flags);
  const path = resolve(file);
  if (flags.inventory) {
    const { drawFleet } = await import('./fleet-session.ts');
    const { restoreFleet } = await import('../installer/fleet/etcd-restore.ts');
    const { host, pkiKeyFile } = flags;
    const more = { snapshot: path, ...(host ? { onto: host } : {}), ...(pkiKeyFile ? { pkiKeyFile } : {}) };
    await drawFleet(flags, [], (options) => restoreFleet({ ...options, ...more }));
    if (flags.output !== 'json' && !flags.dryRun) {
      process.stdout.write(
        `\nThe other control planes and new workers join with: kinit up --inventory ${flags.inventory}\n`,
      );
    }
    return;
  }
  const { runEtcdRestore } = await import('../installer/phases/run-etcd-restore.ts');
  await drawSession(flags, (options) => runEtcdRestore(path, flags, options));
}
