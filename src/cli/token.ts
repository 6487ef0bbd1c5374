/** `kinit token create | list | delete | generate` */
import type { Command } from 'commander';
import { defaultTokenTtl, tokenGroups, tokenUsages } from '../installer/config/defaults.ts';
import { formatDuration, parseDuration } from '../installer/config/duration.ts';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import { describeBadToken } from '../installer/config/validate.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { badCertificateKey, isCertificateKey } from '../installer/pki/transfer.ts';
import { generateToken, tokenPattern } from '../installer/tokens/format.ts';
import type { Client } from '../machinery/client/types.ts';
import { list } from './session.ts';
import { formatTable } from './table.ts';

interface CreateFlags {
  ttl: string;
  description?: string;
  usages?: string[];
  groups?: string[];
  printJoinCommand?: boolean;
  certificateKey?: string;
}

export function addTokenCommand(program: Command): void {
  const token = program.command('token').description('bootstrap tokens, with which nodes join');
  token.option('--kubeconfig <file>', 'kubeconfig of the cluster', process.env['KUBECONFIG'] ?? kubeconfigPaths.admin);
  const kubeconfig = () => token.opts<{ kubeconfig: string }>().kubeconfig;
  token
    .command('create')
    .argument('[token]', 'the token (default: a new one)')
    .description('create a token')
    .option('--ttl <duration>', 'how long it is valid; 0 for ever', defaultTokenTtl)
    .option('--description <text>', 'what it is for')
    .option('--usages <usages>', 'signing, authentication', list)
    .option('--groups <groups>', 'groups of those who authenticate with it: system:bootstrappers:…', list)
    .option('--print-join-command', 'print the whole line that joins a node')
    .option('--certificate-key <key>', 'with --print-join-command: print the line that joins a control plane')
    .action((text: string | undefined, flags: CreateFlags) =>
      withClient(kubeconfig(), (client) => create(client, text, flags)),
    );
  token
    .command('list')
    .description('list the tokens')
    .option('-o, --output <format>', 'text or json', 'text')
    .action((flags: { output: string }) => withClient(kubeconfig(), (client) => listAll(client, flags.output)));
  token
    .command('delete')
    .argument('<token...>', 'tokens or their ids')
    .description('delete tokens')
    .action((tokens: string[]) => withClient(kubeconfig(), (client) => deleteAll(client, tokens)));
  token
    .command('generate')
    .description('print a random token; nothing is created')
    .action(() => {
      process.stdout.write(`${generateToken()}\n`);
    });
}

async function withClient(kubeconfig: string, work: (client: Client) => Promise<void>): Promise<void> {
  const { clientFromFile } = await import('../installer/phases/run.ts');
  const client = await clientFromFile(localHost(), kubeconfig);
  try {
    await work(client);
  } catch (error) {
    if (error instanceof KinitError) throw error;
    throw new KinitError('Api', error instanceof Error ? error.message : String(error), {
      seen: `asked ${client.config.server}`,
      advice: 'check that the control plane runs and that the kubeconfig is for it',
      cause: error,
    });
  } finally {
    client.close();
  }
}

async function create(client: Client, text: string | undefined, flags: CreateFlags): Promise<void> {
  const token = text ?? generateToken();
  if (!tokenPattern.test(token)) throw new KinitError('Validation', describeBadToken(token));
  if ((parseDuration(flags.ttl) ?? -1) < 0) {
    throw new KinitError('Validation', `--ttl is "${flags.ttl}"; it takes a duration like 24h, or 0`);
  }
  if (flags.certificateKey && !isCertificateKey(flags.certificateKey)) throw new KinitError('Usage', badCertificateKey);
  const unknown = flags.usages?.find((usage) => !tokenUsages.includes(usage));
  if (unknown) throw new KinitError('Validation', `--usages has "${unknown}"; it takes ${tokenUsages.join(' and ')}`);
  const { createToken } = await import('../installer/tokens/store.ts');
  const { joinCommand } = await import('../installer/tokens/join-command.ts');
  const { description, usages = tokenUsages, groups = tokenGroups, ttl } = flags;
  await createToken(client, { token, description, ttl, usages, groups });
  if (!flags.printJoinCommand) {
    process.stdout.write(`${token}\n`);
    return;
  }
  const { caData } = client.config;
  if (!caData) throw new KinitError('Validation', 'the kubeconfig does not carry the CA of the cluster');
  process.stdout.write(`${joinCommand(client.config.server, token, caData, flags.certificateKey)}\n`);
}

async function listAll(client: Client, output: string): Promise<void> {
  const { listTokens } = await import('../installer/tokens/store.ts');
  const tokens = await listTokens(client);
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify(tokens, null, 2)}\n`);
    return;
  }
  const rows = tokens.map(({ token, expires, usages, description, groups }) => [
    token,
    expires ? remaining(expires) : '<forever>',
    expires ?? '<never>',
    usages.join(','),
    description ?? '<none>',
    groups.join(','),
  ]);
  process.stdout.write(formatTable(['TOKEN', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'EXTRA GROUPS'], rows));
}

function remaining(expires: string): string {
  const ms = new Date(expires).getTime() - Date.now();
  if (ms <= 0) return '<invalid>';
  return ms >= 3_600_000 ? `${Math.floor(ms / 3_600_000)}h` : formatDuration(Math.floor(ms / 60_000) * 60_000 || 1000);
}

async function deleteAll(client: Client, tokens: string[]): Promise<void> {
  const { deleteToken } = await import('../installer/tokens/store.ts');
  for (const token of tokens) {
    const id = await deleteToken(client, token);
    process.stdout.write(`bootstrap token "${id}" deleted\n`);
  }
}
