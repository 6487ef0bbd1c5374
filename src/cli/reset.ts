/** `kinit reset` */
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { ResetFlags } from '../installer/phases/run.ts';
import { addInventoryOptions } from './node-options.ts';
import { drawSession, list, type OutputFlags, outputOption } from './session.ts';

type Flags = ResetFlags & OutputFlags & { force?: boolean; inventory?: string; limit?: string[] };

export function addResetCommand(program: Command): void {
  const command = program.command('reset').description('make this host what it was before kinit');
  addInventoryOptions(outputOption(command))
    .option('-f, --force', 'do not ask')
    .option('--cri-socket <path>', 'the container runtime that the node used, when it was not the one of kinit')
    .option('--keep-bundle', 'leave the unpacked bundle in /opt/kinit, for another kinit init or join')
    .option('--skip-phases <phases>', 'phases to leave out', list)
    .option('--dry-run', 'print what would change, and change nothing')
    .action(runResetCommand);
}

async function confirm(): Promise<void> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await lines.question(
    'This removes the node with all its pods and, on a control plane, the cluster. Proceed? [y/N] ',
  );
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new KinitError('Usage', 'aborted; nothing was changed');
}

async function runResetCommand(flags: Flags): Promise<void> {
  if (!flags.force && !flags.dryRun) {
    if (!process.stdin.isTTY)
      throw new KinitError('Usage', 'kinit reset asks before it begins; give --force where nobody can answer');
    await confirm();
  }
  const { runReset } = await import('../installer/phases/run.ts');
  await drawSession(flags, (options) => runReset(flags, options));
}
