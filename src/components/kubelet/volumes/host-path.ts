/** Checks of hostPath volumes by type, with upstream's words. */

import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const kinds: Record<string, { is(stats: Stats): boolean; words: string }> = {
  Directory: { is: (stats) => stats.isDirectory(), words: 'a directory' },
  File: { is: (stats) => stats.isFile(), words: 'a file' },
  Socket: { is: (stats) => stats.isSocket(), words: 'a socket file' },
  CharDevice: { is: (stats) => stats.isCharacterDevice(), words: 'a character device' },
  BlockDevice: { is: (stats) => stats.isBlockDevice(), words: 'a block device' },
};

/** @param type as in the volume; empty: no check */
export async function prepareHostPath(path: string, type: string): Promise<void> {
  if (!type) return;
  let stats = await look(path);
  const creates = type.endsWith('OrCreate');
  if (creates && !stats) {
    if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
    else {
      if (!(await look(dirname(path)))) throw new Error(`open ${path}: no such file or directory`);
      await (await open(path, 'a', 0o644)).close();
    }
    stats = await look(path);
  }
  const kind = kinds[creates ? type.slice(0, -'OrCreate'.length) : type];
  if (!kind) throw new Error(`${type} is an invalid volume type`);
  if (!stats || !kind.is(stats)) throw new Error(`hostPath type check failed: ${path} is not ${kind.words}`);
}

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
