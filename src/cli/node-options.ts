/** Flags that `kinit init` and `kinit join` have in common. */
import { type Command, Option } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { bundleSources } from '../installer/inventory/types.ts';
import { list, outputOption } from './session.ts';

export function addNodeOptions(command: Command): Command {
  return outputOption(command)
    .option(
      '--config <file>',
      'configuration file: kubeadm.k8s.io/v1beta4 documents and kinit.local/v1alpha1 HostConfiguration',
    )
    .option(
      '--runtime <bundle|packages|existing>',
      "containerd of the bundle (default) or of the distribution's packages, or a runtime that is there",
    )
    .option('--cri-socket <path>', 'use the container runtime that listens there instead of installing containerd')
    .option('--node-name <name>', 'name of the node (default: the host name)')
    .option('--ignore-preflight-errors <checks>', 'checks whose errors become warnings: names, or all', list)
    .option('--patches <dir>', 'folder of patches: <target>[suffix][+strategic|+merge|+json].<yaml|json>')
    .option('--skip-phases <phases>', 'phases to leave out', list)
    .option('--prune', 'take away what was set once and is not given any more; without it, it is told')
    .option('--dry-run', 'print what would change, with differences, and change nothing')
    .option('--dry-run-dir <path>', 'dry run that leaves the files that it would write below this folder')
    .option('--swap <off|keep>', 'turn swap off (default) or leave it alone')
    .option('--selinux <permissive|keep>', 'make SELinux permissive (default) or leave it alone')
    .option('--firewall <open|keep>', 'open ports in firewalld or ufw (default) or leave the firewall alone')
    .option('--cgroup-driver <auto|systemd|cgroupfs>', 'cgroup driver of kubelet and containerd')
    .option(
      '--etcd-snapshot-schedule <cron|off>',
      'on control planes: take snapshots of etcd, for example "30 3 * * *" or @daily (absent: as it is)',
    )
    .option('--etcd-snapshot-keep <number>', 'how many scheduled snapshots are kept (default 7)')
    .option('--etcd-snapshot-directory <path>', 'folder of scheduled snapshots (default /var/backups/kinit/etcd)')
    .option('--snapshotter <auto|overlayfs|native>', 'how containerd stores images');
}

export function addInventoryOptions(command: Command): Command {
  return addFleetOptions(
    command
      .option('-i, --inventory <file>', 'work on the hosts of an inventory, over SSH')
      .option('--limit <hosts>', 'with --inventory: only these hosts or roles', list),
  );
}

/** Flags of all commands over an inventory. */
export function addFleetOptions(command: Command): Command {
  return command
    .option('--bundle <file>', 'with --inventory: the bundle that the hosts get')
    .addOption(
      new Option('--bundle-from <where>', 'with --inventory: where hosts get the bundle from (default: auto)').choices(
        bundleSources,
      ),
    )
    .option('--parallel <hosts>', 'with --inventory: on so many hosts at once (default 20)', count)
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption());
}

function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new KinitError('Usage', `--parallel is "${text}"; it takes a number from 1`);
}

export const hostKeyCheckingOption = (): Option =>
  new Option(
    '--host-key-checking <how>',
    'host keys of the inventory: strict (they are known), accept-new, or off (not checked)',
  ).choices(['strict', 'accept-new', 'off']);
