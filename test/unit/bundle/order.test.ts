import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesToPack } from '../../../src/installer/bundle/build.ts';

test('the two largest files of a bundle lie side by side, the rest in the order of names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kinit-order-'));
  try {
    await mkdir(join(folder, 'bin'));
    await mkdir(join(folder, 'images'));
    for (const [path, size] of [
      ['bin/node', 100 << 20],
      ['bin/kubelet', 10],
      ['images/b', 5],
      ['images/layer', 101 << 20],
    ] as const) {
      await writeFile(join(folder, path), '');
      await truncate(join(folder, path), size);
    }
    expect(await filesToPack(folder)).toEqual([
      '.',
      './bin/node',
      './images/layer',
      './bin',
      './bin/kubelet',
      './images',
      './images/b',
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
