import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { trimmedElf } from '../../../src/installer/bundle/elf-trim.ts';

test('a trimmed program is smaller and runs as before', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kinit-trim-'));
  try {
    const whole = await readFile(process.execPath);
    const trimmed = trimmedElf(whole);
    expect(trimmed.length).toBeLessThan(whole.length - 1_000_000);
    const path = join(folder, 'node');
    await writeFile(path, trimmed, { mode: 0o755 });
    const script = 'process.stdout.write(process.version + crypto.createHash("sha256").update("x").digest("hex"))';
    const { stdout } = await promisify(execFile)(path, ['-e', script]);
    const before = await promisify(execFile)(process.execPath, ['-e', script]);
    expect(stdout).toBe(before.stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('what is no program is refused', () => {
  expect(() => trimmedElf(Buffer.from('#!/bin/sh\nexec node "$@"\n'))).toThrow('not a little-endian 64-bit ELF');
});
