/** The tree of commands. Each command lives in its own file; what it does is loaded when it is used. */
import { Command } from 'commander';
import { kinitVersion } from '../machinery/version.ts';
import { addAddonsCommand } from './addons.ts';
import { addBundleCommand } from './bundle.ts';
import { addCertsCommand } from './certs.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommand } from './config.ts';
import { addEncryptionCommand } from './encryption.ts';
import { addEtcdCommand } from './etcd.ts';
import { addHealthCommands } from './health.ts';
import { addImagesCommand } from './images.ts';
import { addInitCommand } from './init.ts';
import { addInventoryCommand } from './inventory.ts';
import { addJoinCommand } from './join.ts';
import { addKubeconfigCommand } from './kubeconfig.ts';
import { addKubectlCommand } from './kubectl.ts';
import { addNodesCommand } from './nodes.ts';
import { addProbeCommand } from './probe.ts';
import { addResetCommand } from './reset.ts';
import { addSupportBundleCommand } from './support-bundle.ts';
import { addTokenCommand } from './token.ts';
import { addTunnelCommand } from './tunnel.ts';
import { addUpCommand } from './up.ts';
import { addUpgradeCommand } from './upgrade.ts';
import { addVersionCommand } from './version.ts';

export function buildProgram(): Command {
  const program = new Command('kinit')
    .description('Makes plain Linux machines a Kubernetes cluster.')
    .version(kinitVersion, '--version')
    .option(
      '-v, --v <level>',
      'how much is told: 4 and more the commands that are run, 5 and more where an error arose',
    )
    .option('--rootfs <path>', 'work in this root file system, by chroot; kinit has to be there, too')
    .showHelpAfterError('(see --help)')
    .showSuggestionAfterError(true)
    .exitOverride();
  addInitCommand(program);
  addJoinCommand(program);
  addUpCommand(program);
  addHealthCommands(program);
  addNodesCommand(program);
  addSupportBundleCommand(program);
  addUpgradeCommand(program);
  addResetCommand(program);
  addInventoryCommand(program);
  addBundleCommand(program);
  addImagesCommand(program);
  addAddonsCommand(program);
  addTokenCommand(program);
  addCertsCommand(program);
  addConfigCommand(program);
  addEncryptionCommand(program);
  addEtcdCommand(program);
  addKubeconfigCommand(program);
  addKubectlCommand(program);
  addTunnelCommand(program);
  addCompletionCommand(program);
  addVersionCommand(program);
  addProbeCommand(program);
  return program;
}
