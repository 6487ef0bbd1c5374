/** Kubeconfigs on this machine: a file of its own, or entries of a file that others use, too. */
import { copyFile, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KinitError } from '../errors.ts';
import { formatKubeconfig, type Kubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { type MergeOptions, mergeKubeconfig } from './merge-kubeconfig.ts';

export interface Written {
  path: string;
  changed: boolean;
  /** What was there before. */
  backup?: string;
}

export const absent = (error: NodeJS.ErrnoException): undefined => {
  if (error.code === 'ENOENT') return undefined;
  throw error;
};

/** Writes a file of its own, 0600; all of it or nothing. */
export async function writeKubeconfig(path: string, kubeconfig: Kubeconfig): Promise<Written> {
  const wanted = formatKubeconfig(kubeconfig);
  const before = await readFile(path, 'utf8').catch(absent);
  const isClosed = before !== undefined && ((await stat(path)).mode & 0o077) === 0;
  if (before === wanted && isClosed) return { path, changed: false };
  await replaceFile(path, wanted);
  return { path, changed: true };
}

export async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.kinit-draft`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Adds a cluster's entries to a file; what was there is kept in `<file>.kinit-backup`. */
export async function mergeIntoFile(given: string, added: Kubeconfig, options: MergeOptions): Promise<Written> {
  await mkdir(dirname(given), { recursive: true, mode: 0o700 });
  // A link stays one.
  const path = (await realpath(given).catch(absent)) ?? given;
  return locked(path, async () => {
    const before = await readFile(path, 'utf8').catch(absent);
    const into = before?.trim() ? parseKubeconfig(before, path) : undefined;
    const wanted = formatKubeconfig(mergeKubeconfig(into, added, options));
    if (into && wanted === formatKubeconfig(into)) return { path, changed: false };
    const backup = `${path}.kinit-backup`;
    if (before !== undefined) {
      await copyFile(path, `${backup}.draft`);
      await rename(`${backup}.draft`, backup);
    }
    await replaceFile(path, wanted);
    return { path, changed: true, ...(before === undefined ? {} : { backup }) };
  });
}

/** kubectl's own way: who has made `<file>.lock` may write. */
async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  await writeFile(lock, '', { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new KinitError('Locked', `another program writes ${path} at the moment`, {
      advice: `try again; if there is none, remove ${lock}`,
    });
  });
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}
