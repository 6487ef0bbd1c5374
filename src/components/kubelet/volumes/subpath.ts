/**
 * subPath mounts, safe against links that a container puts into its volume: the path is opened step by step without following
 * links, and the open file, not its name, is bound to a place that no container can change.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { bindMount, isMounted, unmount } from './mount-table.ts';

/** Not among Node's constants. */
const O_PATH = 0o10000000;
const openFlags = O_PATH | constants.O_NOFOLLOW;

export interface SubPathMount {
  /** The volume's directory (or file) on the host. */
  volumePath: string;
  subPath: string;
  /** Where the result is bound: <pod>/volume-subpaths/<volume>/<container>/<index>. */
  target: string;
}

/** Makes the sub path if it is missing and binds it to the target; answers the target. */
export async function prepareSubPath({ volumePath, subPath, target }: SubPathMount): Promise<string> {
  if (subPath.startsWith('/')) throw new Error(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split('/').includes('..'))
    throw new Error(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  const base = await realpath(volumePath);
  await makeDirectories(base, subPath);
  const resolved = await realpath(join(base, subPath));
  if (!isWithin(resolved, base)) throw new Error(`subpath "${resolved}" not within volume path "${base}"`);
  const handle = await openWithin(base, resolved);
  try {
    const wanted = await handle.stat();
    if (await isMounted(target)) {
      const now = await stat(target);
      if (now.dev === wanted.dev && now.ino === wanted.ino) return target;
      await unmount(target);
    }
    if (wanted.isDirectory()) await mkdir(target, { recursive: true, mode: 0o750 });
    else {
      await mkdir(dirname(target), { recursive: true, mode: 0o750 });
      await writeFile(target, '', { flag: 'a', mode: 0o640 });
    }
    await bindMount(`/proc/${process.pid}/fd/${handle.fd}`, target);
    return target;
  } finally {
    await handle.close();
  }
}

const isWithin = (path: string, base: string): boolean =>
  path === base || path.startsWith(base === '/' ? '/' : `${base}/`);

/** Opens a path without links, checking each step. The caller closes it. */
async function openWithin(base: string, path: string): Promise<FileHandle> {
  let handle = await open(base, openFlags);
  for (const name of relative(base, path).split(sep).filter(Boolean)) {
    try {
      const next = await open(`/proc/self/fd/${handle.fd}/${name}`, openFlags);
      await handle.close();
      handle = next;
      if ((await handle.stat()).isSymbolicLink()) throw new Error(`unexpected symlink found ${name} in ${path}`);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
  const opened = await readlink(`/proc/self/fd/${handle.fd}`);
  if (isWithin(opened, base)) return handle;
  await handle.close();
  throw new Error(`path "${opened}" is outside of allowed base "${base}"`);
}

/** Missing directories get the mode of the volume. Existing links inside the volume may be passed, links out of it not. */
async function makeDirectories(base: string, subPath: string): Promise<void> {
  const names = subPath.split('/').filter((name) => name && name !== '.');
  let existing = base;
  while (names.length > 0) {
    const next = join(existing, names[0] as string);
    try {
      existing = await realpath(next);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      break;
    }
    if (!isWithin(existing, base)) throw new Error(`path "${existing}" is outside of allowed base "${base}"`);
    names.shift();
  }
  if (names.length === 0) return;
  const mode = (await stat(base)).mode & 0o7777;
  let handle = await openWithin(base, existing);
  try {
    for (const name of names) {
      const path = `/proc/self/fd/${handle.fd}/${name}`;
      await mkdir(path);
      const next = await open(path, openFlags);
      await handle.close();
      handle = next;
      // Through the open directory: the name may have been replaced meanwhile.
      await chmodOpen(handle, mode);
    }
  } finally {
    await handle.close();
  }
}

async function chmodOpen(handle: FileHandle, mode: number): Promise<void> {
  const directory = await open(`/proc/self/fd/${handle.fd}`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.chmod(mode);
  } finally {
    await directory.close();
  }
}
