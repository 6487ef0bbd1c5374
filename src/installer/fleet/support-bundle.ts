/** Support bundles of all hosts of an inventory, side by side in a folder of the workstation. */
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { limitHosts } from '../inventory/read-inventory.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { connectHost } from './connect-host.ts';
import { type HostFailure, onAll } from './failures.ts';
import { type InventoryOptions, openInventory } from './plan.ts';

export interface SupportOptions extends InventoryOptions {
  /** Made when it is missing. */
  folder: string;
  signal: AbortSignal;
}

async function fetchFrom(host: InventoryHost, { folder, signal, env }: SupportOptions): Promise<string> {
  const path = join(folder, `${host.name}.tar.gz`);
  const draft = `${path}.draft`;
  const connection = await connectHost(host, signal, env);
  try {
    const stream = new PassThrough();
    const writing = pipeline(stream, createWriteStream(draft, { mode: 0o600 }));
    const { code, stderr } = await connection.root(`${bundlePaths.bin}/kinit support-bundle --out -`, {
      signal,
      timeoutMs: 300_000,
      onStdout: (chunk) => stream.write(chunk),
    });
    stream.end();
    await writing;
    if (code !== 0) {
      await rm(draft, { force: true });
      throw new KinitError('Command', `kinit support-bundle ended with exit code ${code}`, { seen: stderr });
    }
    await rename(draft, path);
    return path;
  } finally {
    connection.close();
  }
}

/** @returns the files that were written, and the hosts that gave none */
export async function collectSupport(options: SupportOptions): Promise<{ files: string[]; failures: HostFailure[] }> {
  const inventory = await openInventory(options);
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const hosts = limitHosts(inventory, options.limit);
  const { done, failures } = await onAll(
    hosts,
    (host) => fetchFrom(host, options),
    () => undefined,
  );
  return { files: [...done.values()], failures };
}
