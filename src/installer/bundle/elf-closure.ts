/** Which shared libraries programs of the Debian root need, found by following DT_NEEDED with patchelf. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DebianRoot } from './debian-root.ts';

/** Where the root keeps libraries, first match wins. */
const libraryFolders = (triplet: string) => [`usr/lib/${triplet}`, 'usr/lib', 'usr/lib64'];

/** Finds a library by its soname; the path is relative to the root. */
export function findLibrary(root: DebianRoot, soname: string): string | undefined {
  return libraryFolders(root.architecture.triplet)
    .map((folder) => join(folder, soname))
    .find((path) => existsSync(join(root.path, path)));
}

/**
 * The libraries that `files` need, directly and through other libraries, the loader included.
 * @param files absolute paths of ELF files; statically linked ones need nothing
 * @returns paths relative to the root, sorted
 */
export async function libraryClosure(root: DebianRoot, files: string[]): Promise<string[]> {
  const found = new Set<string>();
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    for (const soname of await neededBy(root, file)) {
      const path = findLibrary(root, soname);
      if (!path) throw new Error(`${file} needs ${soname}, which the Debian root does not have`);
      if (found.has(path)) continue;
      found.add(path);
      waiting.push(join(root.path, path));
    }
  }
  const loader = findLibrary(root, root.architecture.loader);
  if (found.size && loader) found.add(loader);
  return [...found].sort();
}

async function neededBy(root: DebianRoot, file: string): Promise<string[]> {
  try {
    return (await root.run('usr/bin/patchelf', ['--print-needed', file])).split('\n').filter(Boolean);
  } catch (error) {
    // patchelf refuses statically linked programs: they have no dynamic section.
    if (error instanceof Error && /dynamic|\.interp|section/i.test(error.message)) return [];
    throw error;
  }
}
