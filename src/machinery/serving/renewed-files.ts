/** Certificates are renewed under a server that runs: their files are watched, and taken up when they fit. */
import { type FSWatcher, statSync, watch } from 'node:fs';

/** A certificate and its key are written one after the other. */
const settleMs = 200;

/**
 * Calls `apply` when one of the files has changed; what it throws (a certificate without its new key yet, a file that was moved
 * away) is told, and tried again a little later. The server goes on with what it has. As upstream's dynamiccertificates, it looks
 * at the files now and then as well: there may be no watches left. The process is not kept alive by it.
 * @returns ends the watch
 */
export function onRenewal(
  files: readonly string[],
  apply: () => void,
  { intervalMs = 60_000, retryMs = 5_000 } = {},
): () => void {
  let retry: NodeJS.Timeout | undefined;
  let settle: NodeJS.Timeout | undefined;
  const attempt = () => {
    clearTimeout(retry);
    try {
      apply();
    } catch (error) {
      process.emitWarning(`renewed certificates cannot be used yet: ${(error as Error).message}`);
      retry = setTimeout(again, retryMs).unref();
    }
  };
  const again = () => {
    watches.open();
    attempt();
  };
  const watches = watchFiles(files, () => {
    clearTimeout(settle);
    settle = setTimeout(look, settleMs).unref();
  });
  watches.open();
  let seen = stampsOf(files);
  // The watch is that of the file that was there: another one of its name gets its own, before it is looked at.
  const look = () => {
    watches.open();
    const now = stampsOf(files);
    if (now === seen) return;
    seen = now;
    attempt();
  };
  const poll = setInterval(look, intervalMs).unref();
  return () => {
    for (const timer of [retry, settle, poll]) clearTimeout(timer);
    watches.close();
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

/** Files, not their folders: who may read a key need not be allowed to list what lies beside it. */
function watchFiles(files: readonly string[], onChange: () => void) {
  let watchers: FSWatcher[] = [];
  const close = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  return {
    close,
    /** Instead of those that are open. */
    open() {
      close();
      for (const file of files) {
        try {
          const watcher = watch(file, { persistent: false }, onChange);
          watchers.push(watcher.on('error', () => watcher.close()));
        } catch {
          // The file is not there now, or the kernel's watches are used up: it is looked at all the same.
        }
      }
    },
  };
}
