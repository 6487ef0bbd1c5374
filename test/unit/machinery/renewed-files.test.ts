/** A server takes up renewed files, also when they are not all there at first. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { onRenewal } from '../../../src/machinery/serving/renewed-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kinit-renewed-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('goes on with what it has until the new files fit', async () => {
  const file = join(folder, 'tls.crt');
  writeFileSync(file, 'old');
  let taken = 'old';
  const told = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
  const take = () => {
    taken = readFileSync(file, 'utf8');
  };
  const end = onRenewal([file], take, { intervalMs: 20, retryMs: 20 });
  try {
    rmSync(file);
    await vi.waitFor(() => expect(told).toHaveBeenCalledWith(expect.stringContaining('cannot be used yet')), 5000);
    expect(taken).toBe('old');
    writeFileSync(file, 'new');
    await vi.waitFor(() => expect(taken).toBe('new'), 5000);
  } finally {
    end();
    told.mockRestore();
  }
});
