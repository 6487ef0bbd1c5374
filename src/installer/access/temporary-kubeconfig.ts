/** A kubeconfig that is there only as long as a command runs. */
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatKubeconfig, type Kubeconfig } from '../kubeconfig/kubeconfig.ts';
import { isRunning } from './running.ts';

export interface TemporaryKubeconfig {
  /** Readable by its owner only, like all that lies in there. */
  folder: string;
  path: string;
  /** Also done when the process exits. */
  remove(): void;
}

const prefix = 'kinit-kubeconfig-';

/** Those of processes that were killed. */
async function removeLeftOver(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : 0;
    if (!pid || isRunning(pid)) continue;
    // Another user's may stay.
    await rm(join(parent, name), { recursive: true, force: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
    });
  }
}

export async function temporaryKubeconfig(kubeconfig: Kubeconfig): Promise<TemporaryKubeconfig> {
  // The user's own folder in memory, where there is one.
  const parent = process.env['XDG_RUNTIME_DIR'] || tmpdir();
  await removeLeftOver(parent);
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const path = join(folder, 'config');
  try {
    await writeFile(path, formatKubeconfig(kubeconfig), { mode: 0o600 });
  } catch (error) {
    remove();
    throw error;
  }
  return {
    folder,
    path,
    remove() {
      process.removeListener('exit', remove);
      remove();
    },
  };
}
