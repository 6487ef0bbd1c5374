/** kinit: the command line. */
import { CommanderError } from 'commander';
import { asKinitError, describeError } from '../installer/errors.ts';
import { goArguments } from './go-arguments.ts';
import { passOnToKubectl } from './kubectl.ts';
import { addPhases } from './phase.ts';
import { buildProgram } from './program.ts';
import { runInRoot } from './rootfs.ts';
import { setVerbosity, showsStacks } from './verbosity.ts';

/** @returns the exit code */
async function main([node = '', script = '', ...given]: string[]): Promise<number> {
  try {
    const program = buildProgram();
    if (given.includes('phase') || given[0] === 'completion') await addPhases(program);
    const words = goArguments(program, passOnToKubectl(program, given));
    program.hook('preAction', () => setVerbosity(program.opts<{ v?: string }>().v));
    const elsewhere = await runInRoot(words);
    if (elsewhere !== undefined) return elsewhere;
    await program.parseAsync([node, script, ...words]);
    // A command that has done its work may still have to say no: doctor found errors.
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 3;
    const error = asKinitError(thrown);
    if (showsStacks() && error.stack) process.stderr.write(`${error.stack}\n`);
    process.stderr.write(`${describeError(error)}\n`);
    return error.exitCode;
  }
}

process.exitCode = await main(process.argv);
