/** Deterministic tar archives: the same entries give the same bytes, whatever their order, dates or owners on disk. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { lstat, readdir, readFile, readlink, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';

/** One path of an archive. `path` is relative, without a leading slash. */
export type ArchiveEntry =
  | { type: 'file'; path: string; mode: number; source: string | Buffer; uid?: number; gid?: number }
  | { type: 'directory'; path: string; mode: number; uid?: number; gid?: number }
  | { type: 'symlink'; path: string; target: string };

export const file = (path: string, source: string | Buffer, mode = 0o644): ArchiveEntry => ({
  type: 'file',
  path,
  mode,
  source,
});
export const directory = (path: string, mode = 0o755): ArchiveEntry => ({ type: 'directory', path, mode });
export const symlink = (path: string, target: string): ArchiveEntry => ({ type: 'symlink', path, target });

/** Everything below a folder, as entries below `prefix`. */
export async function folderEntries(folder: string, prefix: string): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [directory(prefix)];
  for (const item of await readdir(folder, { withFileTypes: true })) {
    const source = join(folder, item.name);
    const path = `${prefix}/${item.name}`;
    if (item.isDirectory()) entries.push(...(await folderEntries(source, path)));
    else if (item.isSymbolicLink()) entries.push(symlink(path, await readlink(source)));
    else entries.push(file(path, source, (await lstat(source)).mode & 0o111 ? 0o755 : 0o644));
  }
  return entries;
}

/** Adds the parent folders that are missing and sorts, so that a folder always comes before what it holds. */
export function completeEntries(entries: ArchiveEntry[]): ArchiveEntry[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    const segments = path.split('/');
    for (let depth = 1; depth < segments.length; depth++) {
      const parent = segments.slice(0, depth).join('/');
      if (!byPath.has(parent)) byPath.set(parent, directory(parent));
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export interface WrittenLayer {
  /** `sha256:<hex>` of the uncompressed tar: OCI digest and diff id alike. */
  digest: string;
  size: number;
}

/** Writes the entries as a tar into `folder`, named by its digest. */
export async function writeLayer(entries: ArchiveEntry[], folder: string): Promise<WrittenLayer> {
  const tar = pack();
  const hash = createHash('sha256');
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  const draft = join(folder, `.draft-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const written = pipeline(tar, measure, createWriteStream(draft));
  for (const entry of completeEntries(entries)) await addEntry(tar, entry);
  tar.finalize();
  await written;
  const hex = hash.digest('hex');
  await rename(draft, join(folder, hex));
  return { digest: `sha256:${hex}`, size };
}

const epoch = new Date(0);

async function addEntry(tar: ReturnType<typeof pack>, entry: ArchiveEntry): Promise<void> {
  const common = { name: entry.path, mtime: epoch, uname: '', gname: '' };
  if (entry.type === 'symlink') {
    tar.entry({ ...common, type: 'symlink', linkname: entry.target, mode: 0o777, uid: 0, gid: 0 });
    return;
  }
  const owned = { ...common, mode: entry.mode, uid: entry.uid ?? 0, gid: entry.gid ?? 0 };
  if (entry.type === 'directory') {
    tar.entry({ ...owned, type: 'directory' });
    return;
  }
  const content = typeof entry.source === 'string' ? await readFile(entry.source) : entry.source;
  await new Promise<void>((resolve, reject) => {
    tar.entry({ ...owned, type: 'file', size: content.length }, content, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
