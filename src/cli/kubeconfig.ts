/** `kinit kubeconfig user` */
import type { Command } from 'commander';
import { parseDuration } from '../installer/config/duration.ts';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { list } from './session.ts';

interface UserFlags {
  clientName: string;
  config?: string;
  kubeconfig: string;
  org?: string[];
  token?: string;
  validityPeriod: string;
}

export function addKubeconfigCommand(program: Command): void {
  program
    .command('kubeconfig')
    .description('kubeconfig files')
    .command('user')
    .description('print a kubeconfig for a new user of the cluster')
    .requiredOption('--client-name <name>', 'name of the user: the common name of the certificate')
    .option('--config <file>', 'configuration file')
    .option('--kubeconfig <file>', 'kubeconfig with which the configuration is read', kubeconfigPaths.admin)
    .option('--org <groups>', "groups of the user: the certificate's organizations", list)
    .option('--token <token>', 'use this token instead of a certificate')
    .option('--validity-period <duration>', 'how long the certificate is valid', '8760h0m0s')
    .action(printUser);
}

async function printUser(flags: UserFlags): Promise<void> {
  const { clientName, config, kubeconfig, org = [], token, validityPeriod } = flags;
  if ((parseDuration(validityPeriod) ?? 0) <= 0) {
    throw new KinitError('Usage', `--validity-period is "${validityPeriod}"; it takes a duration like 24h`);
  }
  const { loadConfiguration } = await import('../installer/config/from-cluster.ts');
  const { userKubeconfig } = await import('../installer/kubeconfig/user.ts');
  // The kubeconfig goes to the standard output: what else is to be said goes beside it.
  const print = (line: string) => void process.stderr.write(line ? `${line}\n` : '');
  const host = localHost();
  const loaded = await loadConfiguration(host, { config, kubeconfig, title: 'kubeconfig', print });
  const options = { clientName, organizations: org, token, validityPeriod };
  process.stdout.write(await userKubeconfig(host, loaded, options));
}
