/** `kinit kubeconfig [get] | user` */
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { parseDuration } from '../installer/config/duration.ts';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { type AccessFlags, addAccessOptions, hasInventory, sourceOf } from './access-options.ts';
import { interruptSignal, list } from './session.ts';

interface GetFlags extends AccessFlags {
  out?: string;
  merge?: string | true;
  print?: boolean;
  contextName?: string;
  server?: string;
  keepCurrent?: boolean;
  force?: boolean;
  output: string;
}

interface UserFlags extends AccessFlags {
  clientName: string;
  config?: string;
  kubeconfig: string;
  org?: string[];
  groups?: string[];
  token?: string;
  validityPeriod: string;
}

const defaultOut = 'kubeconfig';

export function addKubeconfigCommand(program: Command): void {
  const kubeconfig = program.command('kubeconfig').description("the administrator's kubeconfig, and those of others");
  addAccessOptions(kubeconfig.command('get', { isDefault: true }))
    .description("get the administrator's kubeconfig of an inventory's cluster, or of this host")
    .option('--out <file>', `write this file (default "${defaultOut}")`)
    .option('--merge [file]', 'add the cluster to this kubeconfig (default: that of $KUBECONFIG, or ~/.kube/config)')
    .option('--print', 'print it')
    .option('--context-name <name>', "name of cluster and context (with --merge the default is the cluster's name)")
    .option('--server <url>', 'where this machine reaches the API server')
    .option('--keep-current', 'with --merge: leave the current context what it is')
    .option('--force', 'with --merge: replace another cluster that has this name')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(getKubeconfig);
  addAccessOptions(kubeconfig.command('user'))
    .description('print a kubeconfig for a new user of the cluster')
    .requiredOption('--client-name <name>', 'name of the user: the common name of the certificate')
    .option('--config <file>', 'configuration file')
    .option('--kubeconfig <file>', 'kubeconfig with which the configuration is read', kubeconfigPaths.admin)
    .option('--org <groups>', "groups of the user: the certificate's organizations", list)
    .option('--groups <groups>', 'the same as --org', list)
    .option('--token <token>', 'use this token instead of a certificate')
    .option('--validity-period <duration>', 'how long the certificate is valid', '8760h0m0s')
    .action(printUser);
}

/** Where kubectl looks first. */
function usualKubeconfig(env: NodeJS.ProcessEnv): string {
  const [first] = (env['KUBECONFIG'] ?? '').split(delimiter).filter(Boolean);
  return first ?? join(env['HOME'] ?? homedir(), '.kube/config');
}

function checkGet({ out, merge, print, output, server, keepCurrent, force }: GetFlags): void {
  const targets = [out, merge, print].filter((target) => target !== undefined).length;
  if (targets > 1) throw new KinitError('Usage', 'give one of --out, --merge and --print');
  if (output !== 'text' && output !== 'json')
    throw new KinitError('Usage', `--output is "${output}"; it takes text or json`);
  if (merge === undefined && (keepCurrent || force))
    throw new KinitError('Usage', '--keep-current and --force are for --merge');
  if (server !== undefined && !/^https:\/\/[^/\s]+$/.test(server))
    throw new KinitError('Usage', `--server is "${server}"; it takes https://host:port`);
}

async function getKubeconfig(flags: GetFlags): Promise<void> {
  checkGet(flags);
  const { fetchedKubeconfig, ownKubeconfig } = await import('../installer/access/admin-kubeconfig.ts');
  const { mergeIntoFile, writeKubeconfig } = await import('../installer/access/write-kubeconfig.ts');
  const { renamed } = await import('../installer/access/merge-kubeconfig.ts');
  const { formatKubeconfig } = await import('../installer/kubeconfig/kubeconfig.ts');
  const { server, merge, contextName } = flags;
  const { kubeconfig, host } = hasInventory(flags)
    ? await fetchedKubeconfig(sourceOf(flags), server, interruptSignal())
    : await ownKubeconfig(localHost(), server);
  const own = contextName ? renamed(kubeconfig, contextName) : kubeconfig;
  if (flags.print) {
    process.stdout.write(formatKubeconfig(own));
    return;
  }
  const name = contextName ?? kubeconfig.clusters[0]?.name ?? 'kubernetes';
  const written = merge
    ? await mergeIntoFile(merge === true ? usualKubeconfig(process.env) : resolve(merge), kubeconfig, {
        name,
        force: flags.force ?? false,
        use: !flags.keepCurrent,
      })
    : await writeKubeconfig(resolve(flags.out ?? defaultOut), own);
  const context = merge ? name : own['current-context'];
  if (flags.output === 'json') {
    process.stdout.write(`${JSON.stringify({ host, context, ...written })}\n`);
    return;
  }
  const { path, changed, backup } = written;
  const what = `context ${context}, from ${host}`;
  process.stdout.write(changed ? `${path}: written (${what})\n` : `${path}: unchanged (${what})\n`);
  if (backup) process.stdout.write(`what it was before: ${backup}\n`);
}

async function printUser(flags: UserFlags): Promise<void> {
  const { clientName, config, kubeconfig, token, validityPeriod } = flags;
  const organizations = [...(flags.org ?? []), ...(flags.groups ?? [])];
  if ((parseDuration(validityPeriod) ?? 0) <= 0) {
    throw new KinitError('Usage', `--validity-period is "${validityPeriod}"; it takes a duration like 24h`);
  }
  if (hasInventory(flags)) {
    if (config || token)
      throw new KinitError('Usage', `--${config ? 'config' : 'token'} is not for use with --inventory`, {
        advice: 'run kinit kubeconfig user on a control plane',
      });
    const { runThere, withControlPlane } = await import('../installer/fleet/on-control-plane.ts');
    const words = ['kubeconfig', 'user', '--client-name', clientName, '--validity-period', validityPeriod];
    if (organizations.length) words.push('--org', organizations.join(','));
    const signal = interruptSignal();
    const text = await withControlPlane(sourceOf(flags), signal, (connection) => runThere(connection, words, signal));
    process.stdout.write(text);
    return;
  }
  const { loadConfiguration } = await import('../installer/config/from-cluster.ts');
  const { userKubeconfig } = await import('../installer/kubeconfig/user.ts');
  // The kubeconfig goes to the standard output: what else is to be said goes beside it.
  const print = (line: string) => void process.stderr.write(line ? `${line}\n` : '');
  const host = localHost();
  const loaded = await loadConfiguration(host, { config, kubeconfig, title: 'kubeconfig', print });
  process.stdout.write(await userKubeconfig(host, loaded, { clientName, organizations, token, validityPeriod }));
}
