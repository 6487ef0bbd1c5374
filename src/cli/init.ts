/** `kinit init` */
import type { Command } from 'commander';
import type { InitFlags } from '../installer/config/flags.ts';
import type { FleetFlags } from './fleet-session.ts';
import { addInventoryOptions, addNodeOptions } from './node-options.ts';
import { addPhaseStub } from './phase.ts';
import { drawSession, list, type OutputFlags } from './session.ts';

interface ClosingFlags {
  skipTokenPrint?: boolean;
  skipCertificateKeyPrint?: boolean;
}

type Flags = InitFlags & OutputFlags & FleetFlags & ClosingFlags;

export function addInitCommand(program: Command): void {
  const command = program.command('init').description('make this host the control plane of a new cluster');
  addPhaseStub(command);
  addInventoryOptions(addNodeOptions(command))
    .option(
      '--apiserver-advertise-address <ip>',
      'address at which the API server is reached (default: of the default route)',
    )
    .option('--apiserver-bind-port <port>', 'port of the API server (default 6443)')
    .option(
      '--apiserver-cert-extra-sans <names>',
      'more names and addresses for the certificate of the API server',
      list,
    )
    .option('--cert-dir <path>', 'folder of the certificates (default /etc/kubernetes/pki)')
    .option('--certificate-key <key>', 'with --upload-certs: the key that encrypts them (default: a new one)')
    .option(
      '--control-plane-endpoint <host:port>',
      'stable address of the control plane: a DNS name or a load balancer',
    )
    .option(
      '--endpoint-mode <local|shared>',
      'how nodes reach the control plane: a port of their own loopback that leads to any API server, or its endpoint (default shared)',
    )
    .option(
      '--addons <names>',
      'add-ons that are to be on, beside those of the configuration file: metrics-server, …',
      list,
    )
    .option('--disable-addons <names>', 'add-ons that are to be off: dns, proxy, network, local-path, …', list)
    .option('--feature-gates <list>', 'feature gates of the control plane: name=true,…')
    .option('--image-repository <name>', "repository of the components' images (default kinit.local)")
    .option('--kubernetes-version <version>', 'must be the one of this kinit')
    .option('--network-backend <vxlan|host-gw>', 'how pods of different hosts reach each other (default vxlan)')
    .option(
      '--storage <local-path|none>',
      'what makes volumes for claims (default local-path: directories of the nodes)',
    )
    .option('--pod-network-cidr <cidr>', 'addresses of pods (default 10.244.0.0/16)')
    .option('--service-cidr <cidr>', 'addresses of services (default 10.96.0.0/12)')
    .option('--service-dns-domain <domain>', 'DNS domain of services (default cluster.local)')
    .option('--skip-certificate-key-print', 'do not print the key of uploaded certificates')
    .option('--skip-token-print', 'do not print the bootstrap token')
    .option('--token <token>', 'bootstrap token with which nodes join (default: a new one)')
    .option('--token-ttl <duration>', 'how long the token is valid; 0 for ever (default 24h)')
    .option('--upload-certs', 'upload the certificates that other control planes need, for two hours')
    .option('--virtual-ip <address>', 'an address that one of the control planes has at a time, as their endpoint')
    .option('-y, --yes', 'on a terminal: take the defaults instead of asking')
    .action(runInitCommand);
}

async function runInitCommand(given: Flags, command: Command): Promise<void> {
  const { runWizard, wantsWizard } = await import('./wizard.ts');
  let flags = given;
  if (wantsWizard(command)) {
    const outcome = await runWizard();
    if (!outcome?.start) return;
    if (outcome.target === 'fleet') {
      const { makeCluster } = await import('./up.ts');
      return makeCluster({ ...given, inventory: outcome.path, kubeconfigOut: 'kubeconfig' }, []);
    }
    flags = { ...given, config: outcome.path };
  }
  if (flags.inventory) {
    const { drawFleet, hostArguments } = await import('./fleet-session.ts');
    const { initFleet } = await import('../installer/fleet/commands.ts');
    await drawFleet(flags, hostArguments(command), initFleet);
    return;
  }
  const { runInit } = await import('../installer/phases/run.ts');
  const ended = await drawSession(flags, (options) => runInit(flags, flags.config, options));
  if (!ended?.ok || flags.output === 'json') return;
  if (!ended.joinCommand) return;
  const key = flags.uploadCerts ? (ended.certificateKey ?? flags.certificateKey) : undefined;
  process.stdout.write(withheld(flags, closingText(ended.joinCommand, key)));
}

const placeholder = '<value withheld>';

/** The closing words without the secrets that shall not be printed. */
export function withheld({ skipTokenPrint, skipCertificateKeyPrint }: ClosingFlags, text: string): string {
  const token = skipTokenPrint ? text.replaceAll(/(--token) \S+/g, `$1 ${placeholder}`) : text;
  return skipCertificateKeyPrint ? token.replaceAll(/(--certificate-key) \S+/g, `$1 ${placeholder}`) : token;
}

function controlPlaneText(lines: string, certificateKey: string): string {
  return `You can now join any number of control planes by running this on each of them as root:

${lines} \\
\t--control-plane --certificate-key ${certificateKey}

Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; if necessary, you can use
"kinit init phase upload-certs --upload-certs" to reload certs afterward.

`;
}

/** @param certificateKey given when certificates were uploaded */
export function closingText(joinCommand: string, certificateKey?: string): string {
  const lines = joinCommand.replace(' --token', ' \\\n\t--token').replace(' --discovery', ' \\\n\t--discovery');
  return `
Your Kubernetes control plane has initialized successfully!

To use the cluster, run as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

or, as root:

  export KUBECONFIG=/etc/kubernetes/admin.conf

${certificateKey ? controlPlaneText(lines, certificateKey) : ''}Then join any number of worker nodes by running this on each of them as root:

${lines}
`;
}
