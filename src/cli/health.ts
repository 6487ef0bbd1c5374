/** `kinit status` and `kinit doctor` */
import { type Command, Option } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { HealthReport } from '../installer/health/types.ts';
import { localHost } from '../installer/host/host.ts';
import { type HostKeyFlags, hostKeyChecking } from './fleet-session.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal, list } from './session.ts';

interface Flags extends HostKeyFlags {
  inventory?: string;
  limit?: string[];
  fix?: boolean;
  fixHost?: boolean;
  output: string;
}

export function addHealthCommands(program: Command): void {
  const status = program
    .command('status')
    .description('the cluster as a tree: hosts, nodes, components, versions, certificates');
  whereOptions(status).action((flags: Flags) => report(flags, 'status'));
  const doctor = program
    .command('doctor')
    .description('find what is wrong on hosts and in the cluster, and say what to do (exit code 1: errors were found)')
    .option(
      '--fix',
      'mend what can be mended without risk: dead services, swap, kernel settings, modes and owners of files, ports, an etcd without space',
    )
    // What an inventory's doctor asks of its hosts: one of them mends what they all share, after that.
    .addOption(new Option('--fix-host').hideHelp());
  whereOptions(doctor).action((flags: Flags) => report(flags, 'doctor'));
}

function whereOptions(command: Command): Command {
  return command
    .option('-i, --inventory <file>', 'look at the hosts of an inventory (default: this host)')
    .option('--limit <hosts>', 'only these hosts, roles or groups', list)
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption())
    .option('-o, --output <format>', 'text or json', 'text');
}

async function examine(flags: Flags): Promise<HealthReport> {
  const { inventory, limit } = flags;
  const fix = flags.fix ? 'all' : flags.fixHost ? 'host' : undefined;
  if (inventory === undefined) {
    if (limit) throw new KinitError('Usage', '--limit needs --inventory');
    const { examineHost } = await import('../installer/health/examine.ts');
    return examineHost(localHost(), fix);
  }
  const { examineFleet } = await import('../installer/fleet/examine.ts');
  const options = {
    inventoryPath: inventory,
    fix: flags.fix ?? false,
    signal: interruptSignal(),
    askPassphrase,
    ...hostKeyChecking(flags),
  };
  return examineFleet({ ...options, ...(limit ? { limit } : {}) });
}

async function report(flags: Flags, command: 'status' | 'doctor'): Promise<void> {
  if (flags.output !== 'text' && flags.output !== 'json')
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const found = await examine(flags);
  const { formatDoctor, formatStatus } = await import('./render/health.ts');
  const text = command === 'status' ? formatStatus(found) : formatDoctor(found);
  process.stdout.write(flags.output === 'json' ? `${JSON.stringify(found, null, 2)}\n` : text);
  if (command === 'doctor' && found.problems.some(({ level }) => level === 'error')) process.exitCode = 1;
}
