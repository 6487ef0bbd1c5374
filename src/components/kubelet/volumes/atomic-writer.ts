/**
 * Puts a set of files into a directory so that readers see either all of the old or all of the new: the files live in a
 * timestamped directory that the link `..data` points to; what users see are links through `..data`.
 */
import {
  chmod,
  lchown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';

export interface FileProjection {
  data: Buffer;
  mode: number;
  /** Owner, for tokens of pods that run as one user. */
  uid?: number;
}

export type Payload = Map<string, FileProjection>;

const dataLink = '..data';
const newDataLink = '..data_tmp';
const longestPath = 4096;

/**
 * Answers whether anything had to be changed.
 * @param applyOwnership called with the new directory before it becomes visible
 */
export async function writeAtomically(
  target: string,
  payload: Payload,
  applyOwnership: (directory: string) => Promise<void> = async () => undefined,
): Promise<boolean> {
  for (const path of payload.keys()) validate(path);
  const old = await readlink(join(target, dataLink)).catch(undefinedWhenMissing);
  const oldFiles = old === undefined ? [] : await filesBelow(join(target, old));
  const stale = oldFiles.filter((path) => !payload.has(path));
  if (old !== undefined && stale.length === 0 && !(await differs(join(target, old), payload))) {
    await linkVisible(target, payload);
    return false;
  }
  const directory = await mkdtemp(join(target, `${timestamp(new Date())}.`));
  try {
    await chmod(directory, 0o755);
    for (const [path, file] of payload) {
      const full = join(directory, path);
      await mkdir(dirname(full), { recursive: true, mode: 0o755 });
      await writeFile(full, file.data);
      // Again, as the process' umask has been taken from the first mode.
      await chmod(full, file.mode);
      if (file.uid !== undefined) await lchown(full, file.uid, -1);
    }
    await applyOwnership(directory);
    await rm(join(target, newDataLink), { force: true });
    await symlink(relative(target, directory), join(target, newDataLink));
    await rename(join(target, newDataLink), join(target, dataLink));
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  await linkVisible(target, payload);
  const tops = new Set([...payload.keys()].map(topOf));
  for (const name of new Set(stale.map(topOf))) if (!tops.has(name)) await rm(join(target, name), { force: true });
  if (old !== undefined) await rm(join(target, old), { recursive: true, force: true });
  return true;
}

const topOf = (path: string): string => path.split(sep)[0] ?? path;

function validate(path: string): void {
  if (!path || path.startsWith('/')) throw new Error(`invalid path: must be relative path: ${path}`);
  if (path.length > longestPath)
    throw new Error(`invalid path: must be less than or equal to ${longestPath} characters`);
  if (path.split('/').includes('..')) throw new Error(`invalid path: must not contain '..': ${path}`);
  if (path.startsWith('..')) throw new Error(`invalid path: must not start with '..': ${path}`);
}

async function linkVisible(target: string, payload: Payload): Promise<void> {
  for (const name of new Set([...payload.keys()].map(topOf))) {
    await symlink(join(dataLink, name), join(target, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function differs(directory: string, payload: Payload): Promise<boolean> {
  for (const [path, file] of payload) {
    const now = await readFile(join(directory, path)).catch(undefinedWhenMissing);
    if (!now?.equals(file.data)) return true;
    // Ownership may have added bits for the group.
    const { mode } = await stat(join(directory, path));
    if ((mode & file.mode & 0o777) !== file.mode) return true;
  }
  return false;
}

async function filesBelow(directory: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(directory, prefix), { withFileTypes: true }).catch(undefinedWhenMissing);
  const found: string[] = [];
  for (const entry of entries ?? []) {
    const path = join(prefix, entry.name);
    if (entry.isDirectory()) found.push(...(await filesBelow(directory, path)));
    else found.push(path);
  }
  return found;
}

function undefinedWhenMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** For example `..2026_01_31_12_30_00`; mkdtemp adds letters, upstream digits. */
const timestamp = (date: Date): string => `..${date.toISOString().slice(0, 19).replace(/[-T:]/g, '_')}`;
