/** `kinit up`: from an inventory to a running cluster, as often as one likes. */
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Node } from '../machinery/api/types.ts';
import { drawFleet, type FleetFlags, hostArguments } from './fleet-session.ts';
import { addFleetOptions } from './node-options.ts';
import { list, outputOption } from './session.ts';
import { formatTable } from './table.ts';

type Flags = FleetFlags & { inventory: string; kubeconfigOut: string; detailedExitcode?: boolean };

/** No error has this one. */
const wouldChange = 20;

export function addUpCommand(program: Command): void {
  const command = program
    .command('up')
    .description(
      'make the hosts of an inventory the cluster that it describes: what is missing is added, what differs is changed',
    )
    .requiredOption('-i, --inventory <file>', 'the hosts')
    .option('--limit <hosts>', 'only these hosts or roles, and the control plane', list)
    .option('--kubeconfig-out <file>', "where the administrator's kubeconfig goes", 'kubeconfig')
    .option('--config <file>', 'configuration file for all hosts, as for kinit init and kinit join')
    .option('--ignore-preflight-errors <checks>', 'checks whose errors become warnings: names, or all', list)
    .option('--prune', 'take away what was set once and is not in the inventory any more; without it, it is told')
    .option('--drain-timeout <duration>', 'how long pods get to leave a node that has to be drained (default 5m)')
    .option('--dry-run', 'print what would change, and change nothing')
    .option('--detailed-exitcode', `with --dry-run: exit code ${wouldChange} when anything would change`);
  addFleetOptions(outputOption(command)).action(runUpCommand);
}

function runUpCommand(flags: Flags, command: Command): Promise<void> {
  return makeCluster(flags, hostArguments(command));
}

/** @param hostFlags flags that kinit gets on the hosts */
export async function makeCluster(flags: Flags, hostFlags: string[]): Promise<void> {
  const { upFleet } = await import('../installer/fleet/commands.ts');
  const kubeconfigOut = resolve(flags.kubeconfigOut);
  const result = await drawFleet(flags, hostFlags, (options) => upFleet({ ...options, kubeconfigOut }));
  if (flags.dryRun && flags.detailedExitcode && result.changed) process.exitCode = wouldChange;
  if (flags.output === 'json' || flags.dryRun) return;
  process.stdout.write(`\n${nodeTable(result.nodes)}`);
  const shown = isAbsolute(flags.kubeconfigOut) ? kubeconfigOut : flags.kubeconfigOut;
  process.stdout.write(
    `\n${result.changed ? 'The cluster is ready' : 'Nothing had to be changed'}. To use it:\n\n  export KUBECONFIG=${shown.startsWith('/') ? shown : `$PWD/${shown}`}\n  kubectl get pods -A\n`,
  );
}

/** As `kubectl get nodes -o wide` prints it. */
export function nodeTable(nodes: readonly Node[], now = new Date()): string {
  const rows = nodes.map(({ metadata, spec, status }) => {
    const labels = Object.keys(metadata?.labels ?? {});
    const prefix = 'node-role.kubernetes.io/';
    const roles = labels.filter((label) => label.startsWith(prefix)).map((label) => label.slice(prefix.length));
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    const state = ready === 'True' ? 'Ready' : ready === 'Unknown' ? 'Unknown' : 'NotReady';
    const address = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '<none>';
    const info = status?.nodeInfo;
    return [
      metadata?.name ?? '',
      spec?.unschedulable ? `${state},SchedulingDisabled` : state,
      roles.sort().join(',') || '<none>',
      age(metadata?.creationTimestamp, now),
      info?.kubeletVersion ?? '',
      address,
      info?.osImage ?? '',
      info?.kernelVersion ?? '',
      info?.containerRuntimeVersion ?? '',
    ];
  });
  const columns = [
    'NAME',
    'STATUS',
    'ROLES',
    'AGE',
    'VERSION',
    'INTERNAL-IP',
    'OS-IMAGE',
    'KERNEL-VERSION',
    'CONTAINER-RUNTIME',
  ];
  return formatTable(columns, rows);
}

function age(created: string | undefined, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - new Date(created ?? now).getTime()) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
