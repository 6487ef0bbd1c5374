/** `kinit probe`: run on the hosts of an inventory by kinit itself, to see which ports they reach on each other. */
import type { Command } from 'commander';
import { localHost } from '../installer/host/host.ts';

export function addProbeCommand(program: Command): void {
  program
    .command('probe', { hidden: true })
    .description('listen on ports for a moment and try those of other hosts, as standard input says')
    .action(async () => {
      const { probeSession } = await import('../installer/probe/session.ts');
      await probeSession(localHost(), process.stdin, (line) => process.stdout.write(`${line}\n`));
      process.stdin.destroy();
    });
}
