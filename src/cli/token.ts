/** `kinit token create | list | delete | generate` */
import type { Command } from 'commander';
import { defaultTokenTtl, tokenGroups, tokenUsages } from '../installer/config/defaults.ts';
import { formatDuration, parseDuration } from '../installer/config/duration.ts';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import type { BootstrapTokenOptions } from '../installer/config/types.ts';
import { describeBadToken } from '../installer/config/validate.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { badCertificateKey, isCertificateKey } from '../installer/pki/transfer.ts';
import { generateToken, tokenPattern } from '../installer/tokens/format.ts';
import type { Client } from '../machinery/client/types.ts';
import { withClient } from './cluster-client.ts';
import { formatObject, formatOf, type ObjectFlags, objectOutputOption } from './render/object-output.ts';
import { list } from './session.ts';
import { formatTable } from './table.ts';

interface CreateFlags {
  config?: string;
  dryRun: boolean;
  ttl?: string;
  description?: string;
  usages?: string[];
  groups?: string[];
  printJoinCommand?: boolean;
  certificateKey?: string;
}

export function addTokenCommand(program: Command): void {
  const token = program.command('token').description('bootstrap tokens, with which nodes join');
  token.option('--kubeconfig <file>', 'kubeconfig of the cluster', process.env['KUBECONFIG'] ?? kubeconfigPaths.admin);
  token.option('--dry-run', 'change nothing in the cluster');
  const kubeconfig = () => token.opts<{ kubeconfig: string }>().kubeconfig;
  const dryRun = () => token.opts<{ dryRun?: boolean }>().dryRun ?? false;
  token
    .command('create')
    .argument('[token]', 'the token (default: a new one)')
    .description('create a token')
    .option('--config <file>', 'configuration file, whose bootstrapTokens are created')
    .option('--ttl <duration>', `how long it is valid; 0 for ever (default "${defaultTokenTtl}")`)
    .option('--description <text>', 'what it is for')
    .option('--usages <usages>', 'signing, authentication', list)
    .option('--groups <groups>', 'groups of those who authenticate with it: system:bootstrappers:…', list)
    .option('--print-join-command', 'print the whole line that joins a node')
    .option('--certificate-key <key>', 'with --print-join-command: print the line that joins a control plane')
    .action((text: string | undefined, flags: CreateFlags) =>
      withClient(kubeconfig(), (client) => create(client, text, { ...flags, dryRun: dryRun() })),
    );
  objectOutputOption(token.command('list').description('list the tokens')).action((flags: ObjectFlags) =>
    withClient(kubeconfig(), (client) => listAll(client, flags)),
  );
  token
    .command('delete')
    .argument('<token...>', 'tokens or their ids')
    .description('delete tokens')
    .action((tokens: string[]) => withClient(kubeconfig(), (client) => deleteAll(client, tokens, dryRun())));
  token
    .command('generate')
    .description('print a random token; nothing is created')
    .action(() => {
      process.stdout.write(`${generateToken()}\n`);
    });
}

/** Of the flags, or those of the file; a flag and a file together would leave open which is meant. */
async function wantedTokens(text: string | undefined, flags: CreateFlags): Promise<BootstrapTokenOptions[]> {
  const { config, description, usages, groups, ttl } = flags;
  if (config === undefined) {
    const token = text ?? generateToken();
    return [
      { token, description, ttl: ttl ?? defaultTokenTtl, usages: usages ?? tokenUsages, groups: groups ?? tokenGroups },
    ];
  }
  const mixed = Object.entries({ ttl, description, usages, groups }).find(([, value]) => value !== undefined);
  if (text !== undefined || mixed) {
    throw new KinitError('Usage', `can not mix '--config' with arguments [${mixed?.[0] ?? 'token'}]`, {
      advice: 'give the token in the file, or by flags',
    });
  }
  const { initConfigurationOf } = await import('../installer/config/from-cluster.ts');
  const { observeHost } = await import('../installer/host/facts.ts');
  return (await initConfigurationOf(await observeHost(localHost()), config)).bootstrapTokens;
}

async function create(client: Client, text: string | undefined, flags: CreateFlags): Promise<void> {
  if (text !== undefined && !tokenPattern.test(text)) throw new KinitError('Validation', describeBadToken(text));
  if ((parseDuration(flags.ttl ?? defaultTokenTtl) ?? -1) < 0) {
    throw new KinitError('Validation', `--ttl is "${flags.ttl}"; it takes a duration like 24h, or 0`);
  }
  if (flags.certificateKey && !isCertificateKey(flags.certificateKey)) throw new KinitError('Usage', badCertificateKey);
  const unknown = flags.usages?.find((usage) => !tokenUsages.includes(usage));
  if (unknown) throw new KinitError('Validation', `--usages has "${unknown}"; it takes ${tokenUsages.join(' and ')}`);
  const { createToken } = await import('../installer/tokens/store.ts');
  const { joinCommand } = await import('../installer/tokens/join-command.ts');
  const tokens = await wantedTokens(text, flags);
  if (!flags.dryRun) for (const each of tokens) await createToken(client, each);
  const { token } = tokens[0]!;
  if (!flags.printJoinCommand) {
    process.stdout.write(`${token}\n`);
    return;
  }
  const { caData } = client.config;
  if (!caData) throw new KinitError('Validation', 'the kubeconfig does not carry the CA of the cluster');
  process.stdout.write(`${joinCommand(client.config.server, token, caData, flags.certificateKey)}\n`);
}

/** As kubeadm prints a token: one document each. */
function tokenDocument({ token, description, expires, usages, groups }: BootstrapTokenOptions): object {
  return {
    kind: 'BootstrapToken',
    apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
    token,
    ...(description ? { description } : {}),
    ...(expires ? { expires } : {}),
    usages,
    groups,
  };
}

async function listAll(client: Client, flags: ObjectFlags): Promise<void> {
  const { listTokens } = await import('../installer/tokens/store.ts');
  const tokens = await listTokens(client);
  if (formatOf(flags) === 'text') process.stdout.write(tokenTable(tokens));
  const documents: string[] = [];
  for (const token of tokens) {
    documents.push(
      await formatObject(
        flags,
        () => tokenDocument(token),
        () => '',
      ),
    );
  }
  process.stdout.write(documents.join(formatOf(flags) === 'yaml' ? '---\n' : ''));
}

function tokenTable(tokens: readonly BootstrapTokenOptions[]): string {
  const rows = tokens.map(({ token, expires, usages, description, groups }) => [
    token,
    expires ? remaining(expires) : '<forever>',
    expires ?? '<never>',
    usages.join(',') || '<none>',
    description || '<none>',
    groups.join(',') || '<none>',
  ]);
  return formatTable(['TOKEN', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'EXTRA GROUPS'], rows);
}

function remaining(expires: string): string {
  const ms = new Date(expires).getTime() - Date.now();
  if (ms <= 0) return '<invalid>';
  return ms >= 3_600_000 ? `${Math.floor(ms / 3_600_000)}h` : formatDuration(Math.floor(ms / 60_000) * 60_000 || 1000);
}

async function deleteAll(client: Client, tokens: string[], dryRun: boolean): Promise<void> {
  const { deleteToken, tokenIdOf } = await import('../installer/tokens/store.ts');
  for (const token of tokens) {
    const id = dryRun ? tokenIdOf(token) : await deleteToken(client, token);
    process.stdout.write(`bootstrap token "${id}" deleted\n`);
  }
}
