/** kinit: the command line. Each command lives in its own file and is loaded when it is used. */
import { Command, CommanderError } from 'commander';
import { asKinitError, describeError } from '../installer/errors.ts';
import { kinitVersion } from '../machinery/version.ts';
import { addBundleCommand } from './bundle.ts';
import { addCertsCommand } from './certs.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommand } from './config.ts';
import { addImagesCommand } from './images.ts';
import { addInitCommand } from './init.ts';
import { addInventoryCommand } from './inventory.ts';
import { addJoinCommand } from './join.ts';
import { addKubeconfigCommand } from './kubeconfig.ts';
import { addPhases } from './phase.ts';
import { addResetCommand } from './reset.ts';
import { addTokenCommand } from './token.ts';
import { addUpCommand } from './up.ts';
import { addVersionCommand } from './version.ts';

function buildProgram(): Command {
  const program = new Command('kinit')
    .description('Makes plain Linux machines a Kubernetes cluster.')
    .version(kinitVersion, '--version')
    .showHelpAfterError('(see --help)')
    .showSuggestionAfterError(true)
    .exitOverride();
  addInitCommand(program);
  addJoinCommand(program);
  addUpCommand(program);
  addResetCommand(program);
  addInventoryCommand(program);
  addBundleCommand(program);
  addImagesCommand(program);
  addTokenCommand(program);
  addCertsCommand(program);
  addConfigCommand(program);
  addKubeconfigCommand(program);
  addCompletionCommand(program);
  addVersionCommand(program);
  return program;
}

/** @returns the exit code */
async function main(argv: string[]): Promise<number> {
  try {
    const program = buildProgram();
    if (argv.includes('phase') || argv[2] === 'completion') await addPhases(program);
    await program.parseAsync(argv);
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 3;
    const error = asKinitError(thrown);
    if (process.env['KINIT_DEBUG'] && error.stack) process.stderr.write(`${error.stack}\n`);
    process.stderr.write(`${describeError(error)}\n`);
    return error.exitCode;
  }
}

process.exitCode = await main(process.argv);
