/** `kinit upgrade plan | apply | node | diff | rollback` */
import { type Command, InvalidArgumentError } from 'commander';
import { kubeconfigPaths } from '../installer/config/paths.ts';
import type { UpgradeCommandFlags } from '../installer/config/upgrade.ts';
import { KinitError } from '../installer/errors.ts';
import type { UpgradePlan } from '../installer/upgrade/plan.ts';
import { type AccessFlags, addAccessOptions, hasInventory } from './access-options.ts';
import type { FleetFlags } from './fleet-session.ts';
import { addInventoryOptions } from './node-options.ts';
import { formatObject, formatOf, type ObjectFlags, objectOutputOption } from './render/object-output.ts';
import { drawSession, interruptSignal, list, type OutputFlags, outputOption } from './session.ts';

type Section = 'apply' | 'node' | 'plan' | 'diff';

type Flags = UpgradeCommandFlags & { config?: string };
type SessionFlags = Flags & OutputFlags;

export interface ApplyFlags extends SessionFlags, Omit<FleetFlags, 'output' | 'config' | 'dryRun'> {
  yes?: boolean;
  maxUnavailable: string;
  drainTimeout: string;
  deleteEmptydirData?: boolean;
  drainForce?: boolean;
}

/** To read the cluster's configuration. */
const configMs = 30_000;

const write = (text: string) => void process.stdout.write(text);

export function addUpgradeCommand(program: Command): void {
  const upgrade = program.command('upgrade').description('bring a cluster to the version of this bundle');
  addPlan(upgrade);
  addApply(upgrade);
  addNode(upgrade);
  addDiff(upgrade);
  addRollback(upgrade);
}

const lines = (value: string): number => {
  if (/^\d+$/.test(value)) return Number(value);
  throw new InvalidArgumentError('it takes a number of lines');
};

/** Go's boolean flags may have a value: `--etcd-upgrade=false`. */
const yesOrNo = (value: string | boolean): boolean => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new InvalidArgumentError('it is true or false');
};

function sourceOptions(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file with an UpgradeConfiguration')
    .option('--kubeconfig <file>', 'kubeconfig of the cluster', kubeconfigPaths.admin);
}

function versionOptions(command: Command): Command {
  return command
    .option('--allow-experimental-upgrades', 'also to alpha, beta and other versions that are no release')
    .option('--allow-release-candidate-upgrades', 'also to release candidates');
}

const checksOption = (command: Command) =>
  command.option('--ignore-preflight-errors <checks>', 'checks whose errors become warnings, or all', list);

const etcdOption = (command: Command) =>
  command.option('--etcd-upgrade [true|false]', 'also upgrade etcd (default: true)', yesOrNo);

function hostOptions(command: Command): Command {
  return etcdOption(checksOption(command))
    .option('--certificate-renewal [true|false]', 'renew the certificates of the components (default: true)', yesOrNo)
    .option('--patches <folder>', 'files that change manifests and the configuration of the kubelet')
    .option('--skip-phases <phases>', 'phases to leave out', list)
    .option('--dry-run', 'print what would change, and change nothing');
}

function addPlan(upgrade: Command): void {
  const command = upgrade.command('plan').argument('[version]', 'must be the one of this bundle');
  etcdOption(checksOption(versionOptions(sourceOptions(addAccessOptions(objectOutputOption(command))))))
    .description('check whether the cluster can be upgraded, and list what would change')
    .option('--print-config', 'print the configuration with which the cluster would be upgraded')
    .action(async (version: string | undefined, flags: Flags & ObjectFlags & AccessFlags) => {
      if (hasInventory(flags)) {
        const { planInventory } = await import('./upgrade-inventory.ts');
        return planInventory(version, flags);
      }
      const { upgradePlan } = await import('../installer/phases/run-upgrade.ts');
      const { formatPlan } = await import('./render/upgrade.ts');
      const { planDocument } = await import('../installer/upgrade/plan.ts');
      const complete = await withFile('plan', { ...flags, ...(version ? { version } : {}) });
      const signal = interruptSignal();
      if (complete.printConfig && formatOf(flags) === 'text') await printConfig(complete, signal);
      const plan = await upgradePlan(complete, signal);
      write(
        await formatObject(
          flags,
          () => planDocument(plan),
          () => formatPlan(plan),
        ),
      );
      await tellFindings(plan, complete, formatOf(flags));
    });
}

function addApply(upgrade: Command): void {
  const command = upgrade.command('apply').argument('[version]', 'must be the one of this bundle');
  hostOptions(versionOptions(sourceOptions(addInventoryOptions(outputOption(command)))))
    .description('upgrade the cluster: its first control plane, or with --inventory all of its hosts')
    .option('-f, --force', 'go on where the rules of versions allow to be passed over, and do not ask')
    .option('-y, --yes', 'do not ask')
    .option('--print-config', 'print the configuration with which the cluster is upgraded')
    .option('--max-unavailable <n|n%>', 'with --inventory: so many workers at once', '1')
    .option('--drain-timeout <duration>', 'with --inventory: how long to try to drain a node', '5m')
    .option('--delete-emptydir-data', 'with --inventory: also move pods whose data lies on the node alone (emptyDir)')
    .option('--drain-force', 'with --inventory: also end pods that nobody will start elsewhere')
    .action(runApply);
  addPhase(command, 'apply');
}

function addNode(upgrade: Command): void {
  const command = upgrade.command('node');
  hostOptions(sourceOptions(outputOption(command)))
    .description('upgrade this host: another control plane, or a worker')
    .action(async (flags: SessionFlags) => {
      const { runUpgrade } = await import('../installer/phases/run-upgrade.ts');
      const complete = await withFile('node', flags);
      const ended = await drawSession(complete, (options) => runUpgrade('node', complete, options));
      if (!ended?.ok || ended.dryRun || flags.output === 'json') return;
      write('\n[upgrade] The configuration for this node was successfully upgraded!\n');
    });
  addPhase(command, 'node');
}

/** `phase addon all`: kubeadm's words for single phases and their groups. */
function addPhase(command: Command, kind: 'apply' | 'node'): void {
  command
    .command('phase')
    .argument('<phase...>', 'for example: addon kube-proxy, or control-plane')
    .description(`run a single phase of kinit upgrade ${kind}`)
    .action(async (words: string[], _flags: object, leaf: Command) => {
      const flags: ApplyFlags = leaf.optsWithGlobals();
      if (flags.inventory) throw new KinitError('Usage', 'single phases run on the host itself, not over an inventory');
      const { phasesNamed } = await import('../installer/phases/upgrade.ts');
      const { runUpgrade } = await import('../installer/phases/run-upgrade.ts');
      const complete = await withFile(kind, flags);
      const phases = phasesNamed(kind, words.join('/'));
      await drawSession(complete, (options) => runUpgrade(kind, { ...complete, phases }, options));
    });
}

function addDiff(upgrade: Command): void {
  sourceOptions(upgrade.command('diff').argument('[version]', 'must be the one of this bundle'))
    .description('show how the manifests of the static pods on this host would change')
    .option('-c, --context-lines <n>', 'lines around what changes', lines, 3)
    .option('--patches <folder>', 'files that change manifests')
    .action(async (version: string | undefined, given: Flags, command: Command) => {
      const { upgradeDifferences } = await import('../installer/phases/run-upgrade.ts');
      const { formatDifferences } = await import('./render/upgrade.ts');
      const named =
        command.getOptionValueSource('contextLines') === 'default' ? { ...given, contextLines: undefined } : given;
      const flags = await withFile('diff', { ...named, ...(version ? { version } : {}) });
      write(formatDifferences(await upgradeDifferences(flags, interruptSignal()), flags.contextLines ?? 3));
    });
}

function addRollback(upgrade: Command): void {
  outputOption(upgrade.command('rollback'))
    .description('bring this host back to the bundle that it was upgraded from')
    .option('--kubeconfig <file>', 'kubeconfig of the cluster', kubeconfigPaths.admin)
    .option('--dry-run', 'print what would change, and change nothing')
    .action(async (flags: SessionFlags) => {
      const { runRollback } = await import('../installer/phases/run-upgrade.ts');
      await drawSession(flags, (options) => runRollback(flags, options));
    });
}

/** The flags, over what the configuration file says. */
async function withFile<F extends Flags>(section: Section, flags: F): Promise<F> {
  if (flags.config === undefined) return flags;
  const { readConfigFile } = await import('../installer/config/read-config.ts');
  const { resolveUpgrade } = await import('../installer/config/upgrade.ts');
  return resolveUpgrade(section, flags, await readConfigFile(flags.config));
}

/** What stands against an upgrade, behind its plan. @throws KinitError Preflight when it is more than warnings */
export async function tellFindings(
  { findings, changes }: UpgradePlan,
  { ignorePreflightErrors = [] }: UpgradeCommandFlags,
  format: string,
): Promise<void> {
  const { describeFinding, withoutIgnored } = await import('../installer/preflight/check.ts');
  const warnings = withoutIgnored(
    findings,
    ignorePreflightErrors,
    'the cluster cannot be upgraded; nothing was changed',
  );
  for (const warning of warnings) process.stderr.write(`${describeFinding(warning)}\n`);
  if (format === 'text' && !changes) write("\nAwesome, you're up-to-date! Enjoy!\n");
}

async function printConfig(flags: Flags, signal: AbortSignal): Promise<void> {
  const { upgradeConfiguration } = await import('../installer/phases/run-upgrade.ts');
  const { formatConfiguration } = await import('./render/upgrade.ts');
  write(formatConfiguration(await upgradeConfiguration(flags, signal)));
}

async function confirm({ yes, force, dryRun, inventory }: ApplyFlags): Promise<void> {
  if (yes || force || dryRun) return;
  if (!process.stdin.isTTY)
    throw new KinitError('Usage', 'kinit upgrade apply asks before it begins; give --yes where nobody can answer');
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const what = inventory ? `[upgrade] This upgrades the cluster on the hosts of ${inventory}.` : '[upgrade]';
  const answer = await terminal.question(`${what} Are you sure you want to proceed? [y/N]: `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new KinitError('Usage', "won't proceed; the user didn't answer (Y|y) in order to continue");
}

async function runApply(version: string | undefined, given: ApplyFlags, command: Command): Promise<void> {
  const flags = await withFile('apply', { ...given, ...(version ? { version } : {}) });
  await confirm(flags);
  if (flags.inventory) {
    const { upgradeInventory } = await import('./upgrade-inventory.ts');
    await upgradeInventory(flags, command);
    return;
  }
  if (flags.printConfig && flags.output !== 'json') await printConfig(flags, AbortSignal.timeout(configMs));
  const { runUpgrade } = await import('../installer/phases/run-upgrade.ts');
  const ended = await drawSession(flags, (options) => runUpgrade('apply', flags, options));
  if (!ended?.ok || ended.dryRun || flags.output === 'json') return;
  const { kubernetesVersion } = await import('../machinery/version.ts');
  write(`\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to "${kubernetesVersion}".\n
[upgrade] Now please proceed with upgrading the rest of the nodes by following the right order: on each of them, unpack the bundle and run kinit upgrade node.\n`);
}
