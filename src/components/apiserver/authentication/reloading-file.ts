/** A file whose parsed content is kept and read again when the file changes. */
import { readFileSync, statSync } from 'node:fs';

const checkEveryMs = 1_000;

/**
 * Returns a function that gives the parsed content, looking at the file's times at most once a second. The first read
 * happens at once and throws; later a file that is missing or broken keeps the last good content.
 */
export function reloadingFile<T>(path: string, parse: (content: Buffer) => T): () => T {
  const stamp = () => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  };
  let seen = stamp();
  let value = parse(readFileSync(path));
  let checked = Date.now();
  return () => {
    const now = Date.now();
    if (now - checked < checkEveryMs) return value;
    checked = now;
    try {
      const current = stamp();
      if (current !== seen) {
        value = parse(readFileSync(path));
        seen = current;
      }
    } catch {
      // In the middle of being replaced: the next look finds it whole.
      return value;
    }
    return value;
  };
}
