/** Mounts of the host: made with the host's mount and umount, seen in /proc/self/mountinfo. */
import { readFile } from 'node:fs/promises';
import { must, run } from '../../../machinery/process/run.ts';

/** Paths where something is mounted, in the order of mounting. */
export async function mountPoints(): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table
    .split('\n')
    .filter(Boolean)
    .map((line) => plainPath(line.split(' ')[4] ?? ''));
}

const plainPath = (path: string) =>
  path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

export const isMounted = async (path: string): Promise<boolean> => (await mountPoints()).includes(path);

/** @param sizeBytes absent: the kernel's default, half of the memory */
export async function mountTmpfs(path: string, sizeBytes?: number): Promise<void> {
  await must('mount', ['-t', 'tmpfs', ...(sizeBytes ? ['-o', `size=${sizeBytes}`] : []), 'tmpfs', path]);
}

export async function mountHugetlbfs(path: string, pageSize: string): Promise<void> {
  await must('mount', ['-t', 'hugetlbfs', '-o', `pagesize=${pageSize}`, 'nodev', path]);
}

/** The source may be a /proc/<pid>/fd link: it is taken as it is, never resolved by name again. */
export async function bindMount(source: string, target: string): Promise<void> {
  await must('mount', ['--no-canonicalize', '-o', 'bind', source, target]);
}

export async function unmount(path: string): Promise<void> {
  const { code, stderr } = await run('umount', [path]);
  if (code !== 0 && !/not mounted|no mount point/.test(stderr))
    throw new Error(`umount ${path} failed (exit ${code}): ${stderr.trim()}`);
}

/** Unmounts all below a directory, the last mounted first. */
export async function unmountBelow(directory: string): Promise<void> {
  const below = async () => (await mountPoints()).filter((path) => path.startsWith(`${directory}/`));
  for (const path of (await below()).reverse()) await unmount(path);
  const left = await below();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`);
}
