/** `kinit init phase …`, `kinit join phase …`, `kinit reset phase …`: the phases of a command as commands of their own. */
import type { Command } from 'commander';
import type { InitFlags, JoinFlags } from '../installer/config/flags.ts';
import { KinitError } from '../installer/errors.ts';
import type { ResetFlags } from '../installer/phases/run.ts';
import { groupOf, kubeadmNames, type PhaseCommand, phasesOf, selectableNames } from '../installer/phases/select.ts';
import { withFile } from './reset.ts';
import { drawSession, list, type OutputFlags } from './session.ts';

type Flags = OutputFlags &
  InitFlags &
  JoinFlags &
  ResetFlags & { config?: string; inventory?: string; printManifest?: boolean };

interface NamedPhase {
  name: string;
  title: string;
}

const groupTitles: Record<string, string> = {
  addon: 'Install add-ons',
  certs: 'Make certificates and keys',
  'cleanup-node': 'Undo what init or join did to this host',
  'control-plane': 'Start the components of the control plane',
  'control-plane-join': 'Make this host a control plane of the cluster',
  'control-plane-prepare': 'Prepare this host for the control plane',
  etcd: 'Start etcd',
  host: 'Prepare the host',
  images: 'Load images into the container runtime',
  kubeconfig: 'Make kubeconfig files',
  'kubelet-finalize': 'Change the kubelet after it has its certificate',
  runtime: 'Install the container runtime and the commands',
  'upload-config': 'Store the configuration in the cluster',
};

/** So that `kinit init --help` names them; the phases themselves are loaded when they are asked for. */
export function addPhaseStub(command: Command): void {
  command.command('phase').description(`run a single phase: kinit ${command.name()} phase --help lists them`);
}

/** Fills the stubs of init, join and reset. */
export async function addPhases(program: Command): Promise<void> {
  const { initPhases } = await import('../installer/phases/init.ts');
  const { joinPhases } = await import('../installer/phases/join.ts');
  const { resetPhases } = await import('../installer/phases/reset.ts');
  fill(program, 'init', initPhases);
  const { joinControlPlanePhases } = await import('../installer/phases/join-control-plane.ts');
  fill(program, 'join', [
    ...new Map([...joinControlPlanePhases, ...joinPhases].map((one) => [one.name, one])).values(),
  ]);
  fill(program, 'reset', resetPhases);
}

function fill(program: Command, command: PhaseCommand, phases: readonly NamedPhase[]): void {
  const root = program.commands.find((one) => one.name() === command)?.commands.find((one) => one.name() === 'phase');
  if (!root) return;
  root.helpCommand(false);
  if (command === 'init') addInitPhaseOptions(root);
  const names = selectableNames(command, phases);
  for (const name of names) {
    // It comes first in its group.
    const all = `${groupOf(name)}/all`;
    if (names.includes(all)) addPhase(root, command, all, phases);
    addPhase(root, command, name, phases);
  }
}

/** What kubeadm's single phases of init take beside the flags of init. */
function addInitPhaseOptions(root: Command): void {
  root
    .option('--kubeconfig <file>', 'kubeconfig with which the cluster is reached (default /etc/kubernetes/admin.conf)')
    .option('--kubeconfig-dir <path>', 'folder for the kubeconfigs that are made (default /etc/kubernetes)')
    .option('--apiserver-extra-args <pairs>', 'more flags of kube-apiserver: name=value,…', list)
    .option('--controller-manager-extra-args <pairs>', 'more flags of kube-controller-manager: name=value,…', list)
    .option('--scheduler-extra-args <pairs>', 'more flags of kube-scheduler: name=value,…', list);
}

/** Phases whose objects can be printed instead of being applied. */
const printable: readonly string[] = ['coredns', 'kube-proxy', 'network', 'local-path', 'metrics-server'].map(
  (name) => `addon/${name}`,
);

function addPhase(root: Command, command: PhaseCommand, name: string, phases: readonly NamedPhase[]): void {
  const [first = '', second] = name.split('/');
  const title = phases.find((phase) => phase.name === name)?.title ?? allTitle(command, name);
  const leaf =
    second === undefined ? child(root, first, title) : child(groupCommand(root, command, first, phases), second, title);
  runnable(leaf, command, name, phases);
}

function allTitle(command: PhaseCommand, name: string): string {
  if (name === 'kubelet-finalize/enable-client-cert-rotation') return "Let the kubelet's certificate be rotated";
  if (name === 'control-plane-prepare/control-plane') return 'Start the components of the control plane';
  if (name === 'control-plane-join/etcd') return 'Add a member to etcd';
  if (kubeadmNames[command][name]?.length === 0)
    return "Nothing to do: a phase of kubeadm's that kinit needs no step for";
  return `All phases of ${groupOf(name)}`;
}

function child(parent: Command, name: string, title: string): Command {
  return parent.commands.find((one) => one.name() === name) ?? parent.command(name).description(title);
}

function groupCommand(root: Command, command: PhaseCommand, group: string, phases: readonly NamedPhase[]): Command {
  const present = root.commands.find((one) => one.name() === group);
  const made = present ?? root.command(group).description(groupTitles[group] ?? group);
  made.helpCommand(false);
  if (present) return made;
  // kubeadm's cleanup-node has no phases of its own: named alone, it is all of them.
  if (command === 'reset') runnable(made, command, group, phases);
  return made;
}

function runnable(leaf: Command, command: PhaseCommand, name: string, phases: readonly NamedPhase[]): void {
  leaf.configureHelp({ showGlobalOptions: true });
  if (command === 'join' && !leaf.registeredArguments.length)
    leaf.argument('[endpoint]', 'host:port of the API server');
  if (command === 'init' && printable.includes(name))
    leaf.option('--print-manifest', 'print the objects, and change nothing');
  leaf.action(async (...given: unknown[]) => {
    const flags: Flags = leaf.optsWithGlobals();
    if (flags.printManifest) {
      const { addonManifest } = await import('../installer/addons/manifest.ts');
      process.stdout.write(await addonManifest(name, flags, flags.config));
      return;
    }
    const endpoint = command === 'join' ? (given[0] as string | undefined) : undefined;
    await runPhase(command, phasesOf(command, name, phases) ?? [], { ...flags, ...(endpoint ? { endpoint } : {}) });
  });
}

async function runPhase(command: PhaseCommand, phases: readonly string[], flags: Flags): Promise<void> {
  if (flags.inventory) {
    throw new KinitError('Usage', 'single phases run on the host itself, not over an inventory');
  }
  if (!phases.length) {
    process.stdout.write('kinit needs no step for this phase; nothing was changed\n');
    return;
  }
  const { runInit, runJoin, runReset } = await import('../installer/phases/run.ts');
  const complete = command === 'reset' ? await withFile(flags) : flags;
  const ended = await drawSession(complete, (options) => {
    const chosen = { ...complete, phases };
    if (command === 'init') return runInit(chosen, flags.config, options);
    return command === 'join' ? runJoin(chosen, flags.config, options) : runReset(chosen, options);
  });
  if (ended?.ok && ended.joinCommand && flags.output !== 'json') process.stdout.write(`${ended.joinCommand}\n`);
}
