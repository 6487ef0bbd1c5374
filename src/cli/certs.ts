/** `kinit certs check-expiration | renew | rotate-ca | generate-csr | certificate-key` */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { defaultCertificatesDir, kubeconfigPaths, kubernetesDir } from '../installer/config/paths.ts';
import type { InitConfiguration } from '../installer/config/types.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { renewableDescriptions } from '../installer/pki/renewable-names.ts';
import { formatObject, formatOf, type ObjectFlags, objectOutputOption } from './render/object-output.ts';
import { addRotateCommands } from './rotate-ca.ts';

interface SourceFlags {
  certDir?: string;
  config?: string;
  kubeconfig?: string;
}

const write = (text: string) => void process.stdout.write(text);

export function addCertsCommand(program: Command): void {
  const certs = program.command('certs').description('certificates of the control plane');
  objectOutputOption(
    sourceOptions(
      certs.command('check-expiration').description('list the certificates with the time that they have left'),
    ),
  ).action(checkExpirations);
  addRenewCommand(certs);
  addRotateCommands(certs);
  certs
    .command('generate-csr')
    .description('write keys and signing requests, for an authority that is elsewhere')
    .option('--cert-dir <path>', 'folder of keys and requests', defaultCertificatesDir)
    .option('--kubeconfig-dir <path>', 'folder of kubeconfigs and their requests', kubernetesDir)
    .option('--config <file>', 'configuration file')
    .action(generateCsr);
  certs
    .command('certificate-key')
    .description('print a random key of 32 bytes, as uploaded certificates are encrypted with')
    .action(() => write(`${randomBytes(32).toString('hex')}\n`));
}

function sourceOptions(command: Command): Command {
  return command
    .option('--cert-dir <path>', `folder of the certificates (default "${defaultCertificatesDir}")`)
    .option('--config <file>', 'configuration file')
    .option('--kubeconfig <file>', 'kubeconfig of the cluster', kubeconfigPaths.admin);
}

async function configurationOf(title: string, flags: SourceFlags, quiet = false): Promise<InitConfiguration> {
  const { loadConfiguration } = await import('../installer/config/from-cluster.ts');
  const print = (line: string) => (quiet ? undefined : write(`${line}\n`));
  return loadConfiguration(localHost(), { ...flags, title, print });
}

async function checkExpirations(flags: SourceFlags & ObjectFlags): Promise<void> {
  const { expirationInfo, formatExpirations } = await import('./render/expirations.ts');
  const { checkExpiration } = await import('../installer/pki/expiration.ts');
  const config = await configurationOf('check-expiration', flags, formatOf(flags) !== 'text');
  const { certificatesDir, etcd } = config.cluster;
  const externalEtcd = etcd.external !== undefined;
  const found = await checkExpiration({ host: localHost(), certificatesDir, externalEtcd });
  write(
    await formatObject(
      flags,
      () => expirationInfo(found),
      () => formatExpirations(found),
    ),
  );
}

function addRenewCommand(certs: Command): void {
  const renew = certs
    .command('renew')
    .argument('<name>', 'all, or a name that check-expiration prints')
    .description('make certificates again with the names that they have');
  // For the shell's completion; what is wrong is told below, with the name that was meant.
  renew.registeredArguments[0]!.argChoices = ['all', ...Object.keys(renewableDescriptions).sort()];
  sourceOptions(renew).action(renewNamed);
}

async function renewNamed(name: string, flags: SourceFlags): Promise<void> {
  const { renewables } = await import('../installer/pki/renewable.ts');
  const { renewCertificate } = await import('../installer/pki/renew.ts');
  const chosen = renewables.filter((one) => name === 'all' || one.name === name);
  if (!chosen.length) {
    const { nearestName } = await import('../installer/config/nearest.ts');
    const names = ['all', ...renewables.map((one) => one.name)];
    const near = nearestName(name, names);
    throw new KinitError('Usage', `there is no certificate "${name}"${near ? `; did you mean "${near}"?` : ''}`, {
      advice: `take one of ${names.join(', ')}`,
    });
  }
  const { cluster } = await configurationOf('renew', flags);
  const home = { host: localHost(), certificatesDir: cluster.certificatesDir };
  for (const one of chosen) {
    const outcome = await renewCertificate(home, one, cluster);
    if (outcome === 'renewed') write(`${one.description} renewed\n`);
    else if (outcome === 'external') {
      write(`Detected external ${one.authority} authority, ${one.description} can't be renewed\n`);
    } else if (name === 'all') write(`MISSING! ${one.description}\n`);
    else {
      throw new KinitError('Validation', `the ${one.description} is missing: there is nothing to renew`, {
        advice: 'make it with: kinit init phase certs, or kinit init phase kubeconfig',
      });
    }
  }
  if (name === 'all') {
    write(
      '\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, so that they can use the new certificates.\n',
    );
  }
}

async function generateCsr(flags: { certDir: string; kubeconfigDir: string; config?: string }): Promise<void> {
  const { generateRequests } = await import('../installer/pki/requests.ts');
  const { observeHost } = await import('../installer/host/facts.ts');
  const { initConfigurationOf } = await import('../installer/config/from-cluster.ts');
  const config = await initConfigurationOf(await observeHost(localHost()), flags.config);
  const folders = { certificatesDir: flags.certDir, kubeconfigDir: flags.kubeconfigDir };
  for (const path of await generateRequests(localHost(), config, folders)) write(`${path}\n`);
}
