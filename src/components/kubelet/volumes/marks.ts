/** Empty files that say that something was done in full. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export async function mark(path: string): Promise<void> {
  if (await exists(path)) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  await writeFile(path, '', { mode: 0o640 });
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
