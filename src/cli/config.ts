/** `kinit config print | validate | migrate | images` */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import { formatObject, type ObjectFlags, objectOutputOption } from './render/object-output.ts';
import { list } from './session.ts';

/** `/var/run` is another name of `/run`. */
const socketOf = (socket: string) => socket.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/');

const write = (text: string) => void process.stdout.write(text);

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('configuration files');
  config.option('--kubeconfig <file>', 'of no effect: no command of this group asks the cluster');
  addPrintCommands(config.command('print').description('print the default configuration'));
  config
    .command('validate')
    .requiredOption('--config <file>', 'configuration file')
    .option('--allow-experimental-api', 'of no effect: there is no experimental version')
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
    .option('--allow-experimental-api', 'of no effect: there is no experimental version')
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
  print
    .command('upgrade-defaults')
    .description('what kinit upgrade uses')
    .action(async () => {
      const { printUpgradeDefaults } = await import('../installer/config/print.ts');
      write(printUpgradeDefaults());
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

interface ImageFlags extends ObjectFlags {
  config?: string;
  criSocket?: string;
  featureGates?: string;
  imageRepository?: string;
  kubernetesVersion?: string;
}

function addImageCommands(images: Command): void {
  const source = (command: Command) =>
    command
      .option('--config <file>', 'configuration file')
      .option('--feature-gates <list>', 'feature gates: name=true,…; none of them changes the images')
      .option('--image-repository <name>', 'repository of the images (default kinit.local)')
      .option('--kubernetes-version <version>', 'must be the one of this kinit');
  objectOutputOption(source(images.command('list')).description('list the images that a cluster uses')).action(
    listImages,
  );
  source(images.command('pull'))
    .description('load the images of the bundle into containerd; nothing is downloaded')
    .option('--cri-socket <path>', "must be the one of kinit's containerd: images are loaded, not pulled")
    .action(pullImages);
}

async function configurationOf({ config, featureGates, imageRepository, kubernetesVersion }: ImageFlags) {
  const { initConfigurationOf } = await import('../installer/config/from-cluster.ts');
  const { observeHost } = await import('../installer/host/facts.ts');
  return initConfigurationOf(await observeHost(localHost()), config, {
    featureGates,
    imageRepository,
    kubernetesVersion,
  });
}

async function listImages(flags: ImageFlags): Promise<void> {
  const { imagesDocument, referencesOf } = await import('../installer/runtime/image-list.ts');
  const config = await configurationOf(flags);
  write(
    await formatObject(
      flags,
      () => imagesDocument(config),
      () => `${referencesOf(config).join('\n')}\n`,
    ),
  );
}

async function pullImages(flags: ImageFlags): Promise<void> {
  const { imageNames, referencesOf } = await import('../installer/runtime/image-list.ts');
  const { requireRuntime } = await import('../installer/runtime/image-store.ts');
  const { loadImages } = await import('../installer/runtime/images.ts');
  const config = await configurationOf(flags);
  const host = localHost();
  const runtime = await requireRuntime(host);
  const socket = socketOf(flags.criSocket ?? runtime.socket);
  if (socket !== socketOf(runtime.socket)) {
    throw new KinitError(
      'Usage',
      `--cri-socket is "${flags.criSocket}"; the runtime of this node is at ${runtime.socket}`,
    );
  }
  await loadImages(host, imageNames, { settings: config.cluster });
  for (const reference of referencesOf(config)) write(`[config/images] Pulled ${reference}\n`);
}
