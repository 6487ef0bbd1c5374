/** A full disk, told so that it can be mended: which file system, how much is free there, how much was to be written. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KinitError } from '../errors.ts';

const full = /\bENOSPC\b|\bEDQUOT\b|no space left on device|disk quota exceeded/i;

/** Whether an error, or what a program has written, tells of a full disk. */
export const isFull = (told: unknown): boolean => full.test(told instanceof Error ? told.message : String(told));

/** For programs that do not say which one it is. */
export const fullAdvice =
  'a file system of this host is full (df -h, df -i): free some space, and run the same command again: it goes on from here';

export const amountOf = (bytes: number): string =>
  bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.floor(bytes / (1 << 20))} MiB`;

/** What is free at a path, or at the nearest folder above that is there. */
async function freeAt(path: string): Promise<{ bytes: number; total: number; files: number }> {
  try {
    const { bavail, blocks, bsize, ffree, files } = await statfs(path);
    // Some file systems make room for files as they come, and count none.
    return { bytes: bavail * bsize, total: blocks * bsize, files: files ? ffree : Number.POSITIVE_INFINITY };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === '/') throw error;
    return freeAt(dirname(path));
  }
}

/** @param neededBytes what was to be written, when that is known */
export async function noRoom(path: string, neededBytes?: number): Promise<KinitError> {
  const { bytes, total, files } = await freeAt(path);
  const needed = neededBytes === undefined ? '' : `, ${amountOf(neededBytes)} needed`;
  const nodes = files === 0 ? ', and no inodes are left' : '';
  return new KinitError('Command', `no space left for ${path}`, {
    seen: `its file system has ${amountOf(bytes)} of ${amountOf(total)} free${needed}${nodes}`,
    advice: 'free some space there (df -h, df -i), and run the same command again: it goes on from here',
  });
}
