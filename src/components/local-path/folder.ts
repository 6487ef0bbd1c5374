/** The directory of one volume on a node, made and removed by helper pods. Never touches anything outside the root it was given. */
import { chmod, lstat, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const openToAll = 0o777;
const ownersOnly = 0o700;

function pathOf(root: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) throw new Error(`"${name}" is no name of a volume's directory`);
  return join(root, name);
}

/** Whatever user a pod runs as, it can write. Safe to repeat. */
export async function makeFolder(root: string, name: string): Promise<void> {
  const path = pathOf(root, name);
  // Users of the host do not get at what everybody in a pod may write.
  await chmod(root, ownersOnly);
  await mkdir(path, { recursive: true });
  if (!(await lstat(path)).isDirectory()) throw new Error(`${name} is there and is no directory`);
  await chmod(path, openToAll);
}

/** Removes the directory with all that is in it; links are removed, not followed. Safe to repeat. */
export async function removeFolder(root: string, name: string): Promise<void> {
  const path = pathOf(root, name);
  await stat(root);
  const mounted = await mountsBelow(path);
  if (mounted.length > 0) throw new Error(`not removed, as something is mounted in it: ${mounted.join(', ')}`);
  await rm(path, { recursive: true, force: true });
}

async function mountsBelow(path: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point === path || point.startsWith(`${path}/`));
}
