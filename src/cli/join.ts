/** `kinit join` */
import type { Command } from 'commander';
import type { JoinFlags } from '../installer/config/flags.ts';
import type { FleetFlags } from './fleet-session.ts';
import { addInventoryOptions, addNodeOptions } from './node-options.ts';
import { addPhaseStub } from './phase.ts';
import { drawSession, list, type OutputFlags } from './session.ts';

type Flags = JoinFlags & OutputFlags & FleetFlags;

export function addJoinCommand(program: Command): void {
  const command = program.command('join').argument('[endpoint]', 'host:port of the API server');
  addPhaseStub(command);
  addInventoryOptions(addNodeOptions(command.description('make this host a node of an existing cluster')))
    .option('--control-plane', 'make this host one more control plane')
    .option('--certificate-key <key>', 'key of the certificates that a control plane has uploaded (--upload-certs)')
    .option(
      '--apiserver-advertise-address <ip>',
      'with --control-plane: address at which its API server is reached (default: the one that leads to the cluster)',
    )
    .option('--apiserver-bind-port <port>', 'with --control-plane: port of its API server (default 6443)')
    .option('--token <token>', 'bootstrap token, for discovery and for the first certificate')
    .option('--discovery-token <token>', 'token for discovery only')
    .option(
      '--discovery-token-ca-cert-hash <hash>',
      "sha256:<hex> of the public key of the cluster's CA; repeatable",
      list,
    )
    .option(
      '--discovery-token-unsafe-skip-ca-verification',
      'join without knowing the CA; anybody with the token could pretend to be the cluster',
    )
    .option('--discovery-file <path>', 'kubeconfig that names the cluster, instead of a token')
    .option('--tls-bootstrap-token <token>', 'token for the first certificate only')
    .action(runJoinCommand);
}

const controlPlaneText = `
This node has joined the cluster as a control plane, with a member of etcd.

To use the cluster from here, run as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Run "kubectl get nodes" to see this node join the cluster.
`;

async function runJoinCommand(endpoint: string | undefined, flags: Flags, command: Command): Promise<void> {
  if (flags.inventory) {
    const { drawFleet, hostArguments } = await import('./fleet-session.ts');
    const { joinFleet } = await import('../installer/fleet/commands.ts');
    const { secretOf } = await import('../installer/fleet/plan.ts');
    const secret = secretOf(endpoint, flags.token, flags.discoveryTokenCaCertHash);
    await drawFleet(flags, hostArguments(command, ['token', 'discoveryTokenCaCertHash']), (options) =>
      joinFleet({ ...options, ...(secret ? { secret } : {}) }),
    );
    return;
  }
  const { runJoin } = await import('../installer/phases/run.ts');
  const ended = await drawSession(flags, (options) => runJoin({ ...flags, endpoint }, flags.config, options));
  if (!ended?.ok || flags.output === 'json' || ended.dryRun) return;
  process.stdout.write(
    flags.controlPlane
      ? controlPlaneText
      : '\nThis node has joined the cluster.\n\nRun "kubectl get nodes" on the control plane to see it.\n',
  );
}
