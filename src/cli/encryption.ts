/** `kinit encryption status | rotate` */
import type { Command } from 'commander';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import type { EncryptionStatus } from '../installer/encryption/status.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import type { Client } from '../machinery/client/types.ts';
import { drawEvents, type HostKeyFlags, hostKeyChecking } from './fleet-session.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { drawSession, interruptSignal, type OutputFlags, outputOption } from './session.ts';
import { formatTable } from './table.ts';

interface Flags {
  kubeconfig: string;
  output: string;
}

interface RotateFlags extends Flags, HostKeyFlags {
  inventory?: string;
  dryRun?: boolean;
}

const write = (text: string) => void process.stdout.write(text);

export function addEncryptionCommand(program: Command): void {
  const encryption = program.command('encryption').description('encryption of secrets in etcd');
  const common = (command: Command) =>
    command
      .option('--kubeconfig <file>', 'kubeconfig of an administrator', kubeconfigPaths.admin)
      .option('-o, --output <format>', 'text or json', 'text');
  common(encryption.command('status').description('what encrypts the secrets, and how many of them')).action(status);
  common(encryption.command('rotate').description('make a new key, encrypt all secrets with it, and drop the old one'))
    .option('-i, --inventory <file>', 'on all control planes of an inventory, over SSH')
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption())
    .option('--dry-run', 'with --inventory: print the steps, and change nothing')
    .action(rotate);
  outputOption(encryption.command('rotate-node', { hidden: true }))
    .description('one part of a rotation on this control plane')
    .requiredOption('--config <file>', 'what kinit encryption rotate --inventory asks of this host')
    .action(rotateNode);
}

async function rotateNode(flags: OutputFlags & { config: string }): Promise<void> {
  const { runEncryption } = await import('../installer/encryption/node.ts');
  await drawSession(flags, (options) => runEncryption(flags.config, options));
}

async function rotateOverInventory(inventoryPath: string, flags: RotateFlags): Promise<void> {
  const { rotateEncryption } = await import('../installer/fleet/rotate-encryption.ts');
  const { dryRun = false, output } = flags;
  await drawEvents(output, (events) =>
    rotateEncryption({
      inventoryPath,
      ...hostKeyChecking(flags),
      askPassphrase,
      dryRun,
      signal: interruptSignal(),
      events,
    }),
  );
  if (output !== 'json' && !dryRun) write('\nAll secrets are encrypted with the newest key; the older one is gone.\n');
}

async function withClient(flags: Flags, work: (client: Client) => Promise<void>): Promise<void> {
  if (!['text', 'json'].includes(flags.output))
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { createClient } = await import('../machinery/client/client.ts');
  const { loadKubeconfig } = await import('../machinery/client/kubeconfig.ts');
  const config = await loadKubeconfig(flags.kubeconfig).catch((cause: Error) => {
    throw new KinitError('Validation', `${flags.kubeconfig} cannot be used: ${cause.message}`, {
      advice: 'run this as root on a control plane, or give --kubeconfig',
      cause,
    });
  });
  const client = createClient(config);
  try {
    await work(client);
  } finally {
    client.close();
  }
}

async function status(flags: Flags): Promise<void> {
  const { encryptionStatus } = await import('../installer/encryption/status.ts');
  await withClient(flags, async (client) => {
    const found = await encryptionStatus(localHost(), client, interruptSignal());
    write(flags.output === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : statusText(found));
  });
}

export function statusText({ file, hash, servers, secrets }: EncryptionStatus): string {
  const head = file ? `Configuration: ${file}\n` : 'Configuration: none; secrets are written as they are\n';
  const serverTable = formatTable(
    ['API SERVER', 'CONFIGURATION'],
    servers.map((server) => [server.address, stateOf(server, hash)]),
  );
  const secretTable = formatTable(
    ['SECRETS IN ETCD', 'COUNT'],
    Object.entries(secrets)
      .sort()
      .map(([by, count]) => [by, String(count)]),
  );
  return `${head}\n${serverTable}\n${secretTable}`;
}

function stateOf(server: EncryptionStatus['servers'][number], hash: string | undefined): string {
  if (server.problem) return server.problem;
  if (server.hash === hash) return hash ? 'as in the file' : 'none';
  return server.hash ? 'another one' : 'none';
}

async function rotate(flags: RotateFlags): Promise<void> {
  if (flags.inventory) return rotateOverInventory(flags.inventory, flags);
  if (flags.dryRun) throw new KinitError('Usage', '--dry-run is for use with --inventory');
  const { encryptionFileOf } = await import('../installer/encryption/status.ts');
  const { rotateKeys } = await import('../installer/encryption/rotate.ts');
  const { lockHost } = await import('../installer/host/lock.ts');
  const host = localHost();
  const path = await encryptionFileOf(host);
  if (!path) {
    throw new KinitError('Validation', 'the API server of this host encrypts nothing', {
      advice: 'see: Turning it on for a cluster that has none, in docs/hardening.md',
    });
  }
  const unlock = await lockHost(host);
  try {
    await withClient(flags, async (client) => {
      const tell = (line: string) => (flags.output === 'json' ? process.stderr : process.stdout).write(`${line}\n`);
      const rewritten = await rotateKeys({ host, client, path, signal: interruptSignal(), tell });
      if (flags.output === 'json') write(`${JSON.stringify({ file: path, secrets: rewritten })}\n`);
    });
  } finally {
    await unlock();
  }
}
