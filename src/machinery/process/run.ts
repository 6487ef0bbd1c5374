/** Runs the host's programs. Arguments are never passed through a shell. */
import { execFile } from 'node:child_process';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Written to standard input. */
  input?: string;
  /** Default 30 000. */
  timeoutMs?: number;
}

/** Runs a program to its end. A non-zero exit is answered; throws only when it cannot be started or takes too long. */
export function run(
  command: string,
  args: string[],
  { input, timeoutMs = 30_000 }: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 256 << 20, timeout: timeoutMs }, (error, stdout, stderr) => {
      if (!error) resolve({ code: 0, stdout, stderr });
      else if (error.killed) reject(new Error(`${command} ${args.join(' ')} took longer than ${timeoutMs} ms`));
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`cannot run ${command}: ${error.code ?? error.signal ?? error.message}`));
    });
    child.stdin?.on('error', (error: NodeJS.ErrnoException) => {
      // A program may stop reading early; its exit code tells what happened.
      if (error.code !== 'EPIPE') reject(error);
    });
    child.stdin?.end(input ?? '');
  });
}

/** Like run, but throws with the program's own words when it exits non-zero; answers standard output. */
export async function must(command: string, args: string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} failed (exit ${code}): ${stderr.trim() || stdout.trim()}`);
  return stdout;
}
