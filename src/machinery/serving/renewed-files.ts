/** Certificates are renewed under a server that runs: the files are looked at now and then, and taken up when they fit. */
import { unwatchFile, watchFile } from 'node:fs';

/**
 * Calls `apply` when one of the files has changed; what it throws (a certificate without its new key yet, a file that was moved
 * away) is told, and tried again a little later. The server goes on with what it has.
 * @returns ends the watch
 */
export function onRenewal(
  files: readonly string[],
  apply: () => void,
  { intervalMs = 60_000, retryMs = 5_000 } = {},
): () => void {
  let retry: NodeJS.Timeout | undefined;
  const attempt = () => {
    clearTimeout(retry);
    try {
      apply();
    } catch (error) {
      process.emitWarning(`renewed certificates cannot be used yet: ${(error as Error).message}`);
      retry = setTimeout(attempt, retryMs).unref();
    }
  };
  for (const file of files) watchFile(file, { interval: intervalMs, persistent: false }, attempt);
  return () => {
    clearTimeout(retry);
    for (const file of files) unwatchFile(file, attempt);
  };
}
