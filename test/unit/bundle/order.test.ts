import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bySize } from '../../../src/installer/bundle/parts.ts';

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
    const paths = ['bin/kubelet', 'images/layer', 'images/b', 'bin/node'];
    expect(await bySize(folder, paths)).toEqual(['bin/node', 'images/layer', 'bin/kubelet', 'images/b']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
