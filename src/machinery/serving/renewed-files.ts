/** Certificates are renewed under a server that runs: their folders are watched, and the files are taken up when they fit. */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** A certificate and its key are written one after the other. */
const settleMs = 200;

/**
 * Calls `apply` when one of the files has changed; what it throws (a certificate without its new key yet, a file that was moved
 * away) is told, and tried again a little later. The server goes on with what it has. As upstream's dynamiccertificates, it looks
 * at the files now and then as well: a folder may be another one, or there may be no watches left. The process is not kept alive by it.
 * @returns ends the watch
 */
export function onRenewal(
  files: readonly string[],
  apply: () => void,
  { intervalMs = 60_000, retryMs = 5_000 } = {},
): () => void {
  let seen = stampsOf(files);
  let retry: NodeJS.Timeout | undefined;
  let settle: NodeJS.Timeout | undefined;
  const attempt = () => {
    clearTimeout(retry);
    try {
      apply();
    } catch (error) {
      process.emitWarning(`renewed certificates cannot be used yet: ${(error as Error).message}`);
      retry = setTimeout(attempt, retryMs).unref();
    }
  };
  const look = (): boolean => {
    const now = stampsOf(files);
    if (now === seen) return false;
    seen = now;
    attempt();
    return true;
  };
  const folders = watchFolders([...new Set(files.map((file) => dirname(file)))], () => {
    clearTimeout(settle);
    settle = setTimeout(look, settleMs).unref();
  });
  folders.open();
  const poll = setInterval(() => {
    // The watch has not told: it may be that of a folder that has gone.
    if (look()) folders.close();
    folders.open();
  }, intervalMs).unref();
  return () => {
    for (const timer of [retry, settle, poll]) clearTimeout(timer);
    folders.close();
  };
}

/** Another file of the same name, or other content, has another one. */
function stampsOf(files: readonly string[]): string {
  const stampOf = (file: string): string => {
    try {
      const { dev, ino, size, mtimeMs } = statSync(file);
      return [dev, ino, size, mtimeMs].join();
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  };
  return files.map(stampOf).join(' ');
}

/** Folders, since files are replaced by renaming. `open` opens what is not open. */
function watchFolders(folders: readonly string[], onChange: () => void) {
  const watchers = new Map<string, FSWatcher>();
  const end = (folder: string) => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  return {
    open() {
      for (const folder of folders) {
        if (watchers.has(folder)) continue;
        try {
          const watcher = watch(folder, { persistent: false }, onChange);
          watchers.set(
            folder,
            watcher.on('error', () => end(folder)),
          );
        } catch {
          // The folder is not there now, or the kernel's watches are used up: the files are looked at all the same.
        }
      }
    },
    close() {
      for (const folder of [...watchers.keys()]) end(folder);
    },
  };
}
