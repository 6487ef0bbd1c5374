/** Mounts of the host: made with the host's mount and umount, seen in /proc/self/mountinfo. */
import { readFile, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
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

/** The table has no symbolic links in it: the path is looked up as it really is. */
export const isMounted = async (path: string): Promise<boolean> => (await mountPoints()).includes(await real(path));

async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw error;
  }
}

/** Where else the directory itself is mounted, by device and path within its file system. */
export async function mountRefs(path: string): Promise<string[]> {
  const table = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter(Boolean);
  const entries = table.map((line) => {
    const [, , device = '', root = '', point = ''] = line.split(' ');
    return { device, root: plainPath(root), point: plainPath(point) };
  });
  const at = await real(path);
  const under = entries
    .filter(({ point }) => point === '/' || at === point || at.startsWith(`${point}/`))
    .reduce((longest, entry) => (entry.point.length >= longest.point.length ? entry : longest), {
      device: '',
      root: '',
      point: '',
    });
  const within = join(under.root, relative(under.point, at));
  return entries
    .filter(({ device, root, point }) => device === under.device && root === within && point !== at)
    .map(({ point }) => point);
}

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

/** Options of a bind mount take effect only in a second step. */
export async function remountBind(path: string, flags: string[]): Promise<void> {
  await must('mount', ['-o', ['remount', 'bind', ...flags].join(','), path]);
}

export async function unmount(path: string): Promise<void> {
  const { code, stderr } = await run('umount', [path]);
  if (code !== 0 && !/not mounted|no mount point/.test(stderr))
    throw new Error(`umount ${path} failed (exit ${code}): ${stderr.trim()}`);
}

/** Unmounts all below a directory, the last mounted first. */
export async function unmountBelow(directory: string): Promise<void> {
  const top = await real(directory);
  const below = async () => (await mountPoints()).filter((path) => path.startsWith(`${top}/`));
  for (const path of (await below()).reverse()) await unmount(path);
  const left = await below();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`);
}
