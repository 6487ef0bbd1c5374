/** `--rootfs`: the whole command runs below another root, as kubeadm's does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { linkDir } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';

/** Takes the flag out of the words. */
function split(words: readonly string[]): { root?: string; rest: string[] } {
  const at = words.findIndex((word) => word === '--rootfs' || word.startsWith('--rootfs='));
  if (at === -1) return { rest: [...words] };
  const [, inside] = words[at]!.split(/=(.*)/s);
  const root = inside ?? words[at + 1];
  return { ...(root ? { root } : {}), rest: words.toSpliced(at, inside === undefined ? 2 : 1) };
}

/** @returns the exit code; undefined when the command is to run here */
export async function runInRoot(words: readonly string[]): Promise<number | undefined> {
  const { root, rest } = split(words);
  if (root === undefined || resolve(root) === '/') return undefined;
  const program = `${linkDir}/kinit`;
  if (!existsSync(join(root, program))) {
    throw new KinitError('Validation', `there is no ${program} below --rootfs ${root}`, {
      advice: `unpack the bundle there first: chroot ${root} sh kinit-….run`,
    });
  }
  const child = spawn('chroot', [root, program, ...rest], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 128;
}
