/** `kinit config print | validate | migrate | images` */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { containerdPaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { list } from './session.ts';

const write = (text: string) => void process.stdout.write(text);

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('configuration files');
  addPrintCommands(config.command('print').description('print the default configuration'));
  config
    .command('validate')
    .requiredOption('--config <file>', 'configuration file')
    .description('check a configuration file')
    .action(async ({ config: path }: { config: string }) => {
      const { validateFile } = await import('../installer/config/print.ts');
      await validateFile(path);
      write('ok\n');
    });
  config
    .command('migrate')
    .description('rewrite a configuration file of kubeadm.k8s.io/v1beta3 as v1beta4')
    .requiredOption('--old-config <file>', 'file to read')
    .option('--new-config <file>', 'file to write (default: the standard output)')
    .action(migrate);
  addImageCommands(config.command('images').description('the images of the components'));
}

function addPrintCommands(print: Command): void {
  const components = (command: Command) =>
    command.option('--component-configs <kinds>', 'also KubeProxyConfiguration, KubeletConfiguration', list);
  components(print.command('init-defaults', { isDefault: true }))
    .description('what kinit init uses when nothing is given')
    .action(async ({ componentConfigs }: { componentConfigs?: string[] }) => {
      const { printInitDefaults } = await import('../installer/config/print.ts');
      write(await printInitDefaults(componentConfigs));
    });
  components(print.command('join-defaults'))
    .description('what kinit join uses')
    .action(async ({ componentConfigs }: { componentConfigs?: string[] }) => {
      const { printJoinDefaults } = await import('../installer/config/print.ts');
      write(await printJoinDefaults(componentConfigs));
    });
  print
    .command('reset-defaults')
    .description('what kinit reset uses')
    .action(async () => {
      const { printResetDefaults } = await import('../installer/config/print.ts');
      write(printResetDefaults());
    });
}

async function migrate({ oldConfig, newConfig }: { oldConfig: string; newConfig?: string }): Promise<void> {
  const { migrateConfig } = await import('../installer/config/migrate.ts');
  const text = await readFile(oldConfig, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read ${oldConfig}: ${error.code}`, { advice: 'check --old-config' });
  });
  const migrated = migrateConfig(text, oldConfig);
  if (newConfig === undefined) write(migrated);
  else await localHost().writeFile(newConfig, migrated, { mode: 0o600 });
}

interface ImageFlags {
  config?: string;
  imageRepository?: string;
  kubernetesVersion?: string;
  output: string;
}

function addImageCommands(images: Command): void {
  const source = (command: Command) =>
    command
      .option('--config <file>', 'configuration file')
      .option('--image-repository <name>', 'repository of the images (default kinit.local)')
      .option('--kubernetes-version <version>', 'must be the one of this kinit');
  source(images.command('list'))
    .description('list the images that a cluster uses')
    .option('-o, --output <format>', 'text, json or yaml', 'text')
    .action(listImages);
  source(images.command('pull'))
    .description('load the images of the bundle into containerd; nothing is downloaded')
    .action(pullImages);
}

async function configurationOf({ config, imageRepository, kubernetesVersion }: ImageFlags) {
  const { initConfigurationOf } = await import('../installer/config/from-cluster.ts');
  const { observeHost } = await import('../installer/host/facts.ts');
  return initConfigurationOf(await observeHost(localHost()), config, { imageRepository, kubernetesVersion });
}

async function listImages(flags: ImageFlags): Promise<void> {
  const { formatImages } = await import('../installer/runtime/image-list.ts');
  write(formatImages(await configurationOf(flags), flags.output));
}

async function pullImages(flags: ImageFlags): Promise<void> {
  const { imageNames, referencesOf } = await import('../installer/runtime/image-list.ts');
  const { loadImages } = await import('../installer/runtime/images.ts');
  const config = await configurationOf(flags);
  const host = localHost();
  if (!(await host.stat(containerdPaths.socket))) {
    throw new KinitError('Validation', 'containerd does not run on this host', {
      advice: 'install it with: kinit init phase runtime',
    });
  }
  await loadImages(host, imageNames, config.cluster.imageRepository);
  for (const reference of referencesOf(config)) write(`[config/images] Pulled ${reference}\n`);
}
