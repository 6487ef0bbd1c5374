/** `kinit reset` */
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { ResetFlags } from '../installer/phases/run.ts';
import type { FleetFlags } from './fleet-session.ts';
import { addInventoryOptions } from './node-options.ts';
import { addPhaseStub } from './phase.ts';
import { drawSession, list, type OutputFlags, outputOption } from './session.ts';

type Flags = ResetFlags & OutputFlags & FleetFlags & { force?: boolean };

/** The flags, over what the configuration file says. */
export async function withFile<F extends ResetFlags & { config?: string; inventory?: string }>(given: F): Promise<F> {
  if (given.config === undefined) return given;
  if (given.inventory)
    throw new KinitError('Usage', '--config of reset is not for use with --inventory: give the flags');
  const { readConfigFile } = await import('../installer/config/read-config.ts');
  const { resolveReset } = await import('../installer/config/reset.ts');
  return resolveReset(given, await readConfigFile(given.config));
}

export function addResetCommand(program: Command): void {
  const command = program.command('reset').description('make this host what it was before kinit');
  addPhaseStub(command);
  addInventoryOptions(outputOption(command))
    .option('-f, --force', 'do not ask')
    .option('--config <file>', 'configuration file with a ResetConfiguration')
    .option('--cert-dir <path>', 'remove all that is in this folder of certificates, also what kinit has not made')
    .option('--cleanup-tmp-dir', 'remove all that is in /etc/kubernetes/tmp')
    .option('--ignore-preflight-errors <checks>', 'checks whose errors become warnings: IsPrivilegedUser, or all', list)
    .option('--kubeconfig <file>', 'of no effect: what is to be undone stands on the host, not in the cluster')
    .option('--cri-socket <path>', 'the container runtime that the node used, when it was not the one of kinit')
    .option('--keep-bundle', 'leave the unpacked bundle in /opt/kinit, for another kinit init or join')
    .option('--skip-phases <phases>', 'phases to leave out', list)
    .option('--dry-run', 'print what would change, and change nothing')
    .action(runResetCommand);
}

async function confirm(inventory: string | undefined): Promise<void> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await lines.question(
    `This removes ${inventory ? `the cluster on the hosts of ${inventory}` : 'the node with all its pods and, on a control plane, the cluster'}. Proceed? [y/N] `,
  );
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new KinitError('Usage', 'aborted; nothing was changed');
}

async function runResetCommand(given: Flags, command: Command): Promise<void> {
  const flags = await withFile(given);
  if (!flags.force && !flags.dryRun) {
    if (!process.stdin.isTTY)
      throw new KinitError('Usage', 'kinit reset asks before it begins; give --force where nobody can answer');
    await confirm(flags.inventory);
  }
  if (flags.inventory) {
    const { drawFleet, hostArguments } = await import('./fleet-session.ts');
    const { resetFleet } = await import('../installer/fleet/commands.ts');
    await drawFleet(flags, hostArguments(command), resetFleet);
    return;
  }
  const { runReset } = await import('../installer/phases/run.ts');
  await drawSession(flags, (options) => runReset(flags, options));
}
