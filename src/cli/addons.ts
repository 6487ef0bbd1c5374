/** `kinit addons list | enable | disable | apply` */
import { type Command, Option } from 'commander';
import type { AddonState, AddonWork } from '../installer/addons/change.ts';
import type { ManifestText } from '../installer/addons/manifests.ts';
import type { OwnAddonResult } from '../installer/addons/own.ts';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { withClient } from './cluster-client.ts';
import { confirmed } from './confirm.ts';
import { type HostKeyFlags, hostKeyChecking } from './fleet-session.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal } from './session.ts';
import { formatTable } from './table.ts';

interface Flags extends HostKeyFlags {
  kubeconfig: string;
  output: string;
  inventory?: string;
}

interface EnableFlags extends Flags {
  set?: string[];
  values?: string;
  directory?: string;
}

interface ApplyFlags extends Flags {
  filename?: string[];
  name: string;
  prune?: boolean;
  forceConflicts?: boolean;
  manifestsFromStdin?: boolean;
}

const write = (text: string) => void process.stdout.write(text);
const repeated = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function addAddonsCommand(program: Command): void {
  const addons = program
    .command('addons')
    .description('what a cluster has besides: DNS, kube-proxy, the pod network, kubectl top, storage, and your own');
  const common = (command: Command) =>
    command
      .option('--kubeconfig <file>', 'kubeconfig of an administrator', kubeconfigPaths.admin)
      .option('-i, --inventory <file>', 'have a control plane of the inventory do it')
      .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
      .addOption(hostKeyCheckingOption())
      .option('-o, --output <format>', 'text or json', 'text');
  common(addons.command('list').description('the add-ons, which of them are on, and their values')).action(list);
  common(addons.command('enable').argument('<name>', 'for example metrics-server').description('turn it on'))
    .option('--set <name=value>', 'a value, or several: replicas=3,upstreams={10.0.0.1}; null takes it back', repeated)
    .option('--values <file>', 'YAML with values; - is standard input')
    .option('--directory <path>', 'of local-path: directory of the volumes on every node')
    .action(enable);
  common(addons.command('disable').argument('<name>', 'for example metrics-server').description('turn it off'))
    .option('-y, --yes', 'do not ask, whatever breaks')
    .action(disable);
  common(addons.command('apply').description('bring objects of your own into the cluster, as an add-on'))
    .option('-f, --filename <path>', 'file or folder of YAML; can be given again', repeated)
    .requiredOption('--name <name>', 'what the add-on is called')
    .option('--prune', 'remove objects that have left the files; without it, they are told')
    .option('--force-conflicts', 'take over fields that others manage')
    .addOption(new Option('--manifests-from-stdin').hideHelp())
    .action(apply);
}

/** The same command on a control plane. */
async function there(flags: Flags & { inventory: string }, words: readonly string[], stdin?: string): Promise<void> {
  const { runThere, withControlPlane } = await import('../installer/fleet/on-control-plane.ts');
  const signal = interruptSignal();
  const source = { inventory: flags.inventory, askPassphrase, ...hostKeyChecking(flags) };
  const all = ['addons', ...words, '--output', flags.output];
  write(await withControlPlane(source, signal, (connection) => runThere(connection, all, signal, undefined, stdin)));
}

const isThere = (flags: Flags): flags is Flags & { inventory: string } => {
  if (!['text', 'json'].includes(flags.output))
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  return flags.inventory !== undefined;
};

async function withCluster<T>({ kubeconfig }: Flags, work: (cluster: AddonWork) => Promise<T>): Promise<T> {
  const { configurationInCluster } = await import('../installer/addons/cluster-config.ts');
  const signal = interruptSignal();
  const warn = (message: string) => void process.stderr.write(`warning: ${message}\n`);
  return withClient(kubeconfig, async (client) =>
    work({ client, config: await configurationInCluster(client, signal), signal, warn }),
  );
}

async function list(flags: Flags): Promise<void> {
  if (isThere(flags)) return there(flags, ['list']);
  const { listAddons } = await import('../installer/addons/change.ts');
  const found = await withCluster(flags, listAddons);
  write(flags.output === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : addonTable(found));
}

const valueText = (value: unknown): string =>
  Array.isArray(value) ? `{${value.join(',')}}` : typeof value === 'object' ? JSON.stringify(value) : String(value);

export function addonTable(states: readonly AddonState[]): string {
  return formatTable(
    ['ADD-ON', 'STATE', 'VALUES', 'FOR'],
    states.map(({ name, enabled, given, about }) => {
      const values = Object.entries(given).map(([key, value]) => `${key}=${valueText(value)}`);
      return [name, enabled ? 'on' : 'off', values.join(' ') || '-', about];
    }),
  );
}

async function enable(name: string, flags: EnableFlags): Promise<void> {
  const { givenValues } = await import('../installer/addons/set-values.ts');
  const { set = [], values, directory } = flags;
  const words = [...set, ...(directory === undefined ? [] : [`directory=${directory}`])];
  const given = await givenValues(name, values, words);
  if (isThere(flags)) {
    const sets = words.flatMap((word) => ['--set', word]);
    const file = given.text === undefined ? [] : ['--values', '-'];
    return there(flags, ['enable', name, ...sets, ...file], given.text);
  }
  const { enableAddon } = await import('../installer/addons/change.ts');
  const result = await withCluster(flags, (work) => enableAddon(work, name, given.patches));
  told(flags, result);
}

async function disable(name: string, flags: Flags & { yes?: boolean }): Promise<void> {
  const { builtInAddon } = await import('../installer/config/addon-values.ts');
  const { addons } = await import('../installer/addons/catalog.ts');
  const own = builtInAddon(name);
  const breaks = own && addons[own].breaks;
  if (breaks && !flags.yes) await ask(own, breaks);
  if (isThere(flags)) return there(flags, ['disable', name, '--yes']);
  const { disableAddon } = await import('../installer/addons/change.ts');
  told(flags, await withCluster(flags, (work) => disableAddon(work, name)));
}

async function ask(name: string, breaks: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new KinitError('Usage', `without ${name}, ${breaks}`, {
      advice: 'give --yes if that is what you want; nothing was changed',
    });
  }
  write(`Without ${name}, ${breaks}.\n`);
  if (!(await confirmed(`Turn ${name} off? [y/N] `))) throw new KinitError('Usage', 'aborted; nothing was changed');
}

function told(
  { output }: Flags,
  { name, enabled, changed, note }: { name: string; enabled: boolean; changed: boolean; note?: string },
): void {
  if (output === 'json') {
    write(`${JSON.stringify({ name, enabled, changed, ...(note ? { note } : {}) })}\n`);
    return;
  }
  write(`${name} ${changed ? 'is' : 'was'} ${enabled ? 'on' : 'off'}${changed ? '' : ' already'}\n`);
  if (note) write(`${note}\n`);
}

async function apply(flags: ApplyFlags): Promise<void> {
  const { ownName } = await import('../installer/addons/own.ts');
  const { parseManifests, readManifests } = await import('../installer/addons/manifests.ts');
  const name = ownName(flags.name);
  const { filename = [], manifestsFromStdin, prune, forceConflicts: force } = flags;
  if (!filename.length && !manifestsFromStdin) throw new KinitError('Usage', 'there is nothing to apply: give -f FILE');
  const texts = manifestsFromStdin
    ? (JSON.parse(await standardInput()) as ManifestText[])
    : await readManifests(
        await Promise.all(
          filename.map(async (path) => (path === '-' ? { file: 'standard input', text: await standardInput() } : path)),
        ),
      );
  const objects = parseManifests(texts);
  if (isThere(flags)) {
    const words = ['apply', '--name', name, '--manifests-from-stdin'];
    return there(
      flags,
      [...words, ...(prune ? ['--prune'] : []), ...(force ? ['--force-conflicts'] : [])],
      JSON.stringify(texts),
    );
  }
  const { applyOwn } = await import('../installer/addons/own.ts');
  const result = await withCluster(flags, ({ client, signal }) =>
    applyOwn({ client, name, by: 'command', signal, prune: prune ?? false, force: force ?? false }, objects),
  );
  await tellApplied(flags, name, result);
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function tellApplied({ output }: Flags, name: string, result: OwnAddonResult): Promise<void> {
  if (output === 'json') return write(`${JSON.stringify({ name, ...result }, undefined, 2)}\n`);
  const { describeName } = await import('../installer/addons/manifests.ts');
  for (const what of ['created', 'configured', 'unchanged', 'removed'] as const)
    for (const object of result[what]) write(`${describeName(object)} ${what}\n`);
  for (const object of result.left)
    write(`${describeName(object)} is no longer in the files and stays; --prune removes it\n`);
}
