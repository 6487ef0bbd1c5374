/** The frame of a component's process: flags, help, version, one clear line on failure, a signal that fires on SIGTERM and SIGINT. */
import { FlagError, type FlagSpec, type FlagValues, flagHelp, parseFlags } from '../flags/flags.ts';
import { kubernetesVersion } from '../version.ts';
import { releaseMemoryRegularly } from './memory.ts';

export interface Component<S extends Record<string, FlagSpec>> {
  /** Upstream's program name, for example `kube-proxy`. */
  name: string;
  about: string;
  flags: S;
  run(values: FlagValues<S>, signal: AbortSignal, given: Set<string>): Promise<void>;
}

/** Parses the command line and runs the component until it ends or is told to stop. Exit code 1 on failure, 2 on wrong flags. */
export async function runComponent<const S extends Record<string, FlagSpec>>(
  component: Component<S>,
  argv = process.argv.slice(2),
): Promise<void> {
  process.title = component.name;
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(flagHelp(component.name, component.about, component.flags));
    return;
  }
  if (argv.includes('--version') || argv.includes('--version=true')) {
    process.stdout.write(`Kubernetes ${kubernetesVersion}\n`);
    return;
  }
  const stop = new AbortController();
  // Not `once`: execa ends the process when it finds no other listener left while a command runs.
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort(new Error(`got ${signal}`));
    });
  try {
    const { values, given, positional } = parseFlags(component.flags, argv);
    if (positional.length) throw new FlagError(`unknown argument "${positional[0]}"`);
    releaseMemoryRegularly();
    await component.run(values, stop.signal, given);
    process.exit(0);
  } catch (error) {
    if (stop.signal.aborted) process.exit(0);
    process.stderr.write(`${component.name}: ${(error as Error).message}\n`);
    process.exit(error instanceof FlagError ? 2 : 1);
  }
}
