/** `kinit addons list | enable | disable` */
import type { Command } from 'commander';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import type { Client } from '../machinery/client/types.ts';
import { withClient } from './cluster-client.ts';
import { interruptSignal } from './session.ts';
import { formatTable } from './table.ts';

interface Flags {
  kubeconfig: string;
  output: string;
  directory?: string;
}

const write = (text: string) => void process.stdout.write(text);

export function addAddonsCommand(program: Command): void {
  const addons = program.command('addons').description('what a cluster can have besides: kubectl top, storage');
  const common = (command: Command) =>
    command
      .option('--kubeconfig <file>', 'kubeconfig of an administrator', kubeconfigPaths.admin)
      .option('-o, --output <format>', 'text or json', 'text');
  common(addons.command('list').description('the add-ons, and which of them are on')).action(list);
  common(addons.command('enable').argument('<name>', 'for example metrics-server').description('turn it on'))
    .option('--directory <path>', 'of local-path: directory of the volumes on every node')
    .action((name: string, flags: Flags) => change(name, flags, true));
  common(addons.command('disable').argument('<name>', 'for example metrics-server').description('turn it off')).action(
    (name: string, flags: Flags) => change(name, flags, false),
  );
}

type Cluster = { client: Client; images: import('../installer/bundle/image-names.ts').ImageSettings };

async function withCluster<T>(flags: Flags, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  if (!['text', 'json'].includes(flags.output))
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { loadConfiguration } = await import('../installer/config/from-cluster.ts');
  const { kubeconfig } = flags;
  return withClient(kubeconfig, async (client) => {
    const config = await loadConfiguration(localHost(), { kubeconfig, title: 'addons', print: () => undefined });
    return work({ client, images: config.cluster });
  });
}

async function list(flags: Flags): Promise<void> {
  const { listAddons } = await import('../installer/addons/optional.ts');
  const found = await withCluster(flags, ({ client, images }) => listAddons(client, images, interruptSignal()));
  if (flags.output === 'json') write(`${JSON.stringify(found, undefined, 2)}\n`);
  else
    write(
      formatTable(
        ['ADD-ON', 'STATE', 'FOR'],
        found.map(({ name, enabled, about }) => [name, enabled ? 'on' : 'off', about]),
      ),
    );
}

async function change(name: string, flags: Flags, enabled: boolean): Promise<void> {
  const { disableAddon, enableAddon } = await import('../installer/addons/optional.ts');
  const changed = await withCluster(flags, ({ client, images }) =>
    enabled
      ? enableAddon(client, name, images, interruptSignal(), flags.directory)
      : disableAddon(client, name, images, interruptSignal()),
  );
  if (flags.output === 'json') write(`${JSON.stringify({ name, enabled, changed })}\n`);
  else write(`${name} ${changed ? 'is' : 'was'} ${enabled ? 'on' : 'off'}${changed ? '' : ' already'}\n`);
}
