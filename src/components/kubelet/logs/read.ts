/** Reads a container's log file: the last lines, since a time, and on as it grows, over rotations. */
import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { createLogWriter, type LogFilter } from './lines.ts';

export interface LogOptions extends LogFilter {
  follow?: boolean;
  tailLines?: number;
}

export interface LogReader {
  /** Waits when the receiver is slow. */
  write(chunk: Buffer): Promise<void>;
  /** With follow: reading ends after the container has. */
  isRunning(): Promise<boolean>;
  signal: AbortSignal;
}

const blockBytes = 64 * 1024;
const newline = 0x0a;
/** How often a followed container is looked after, should no change be noticed. */
const lookMs = 1_000;

export async function readLog(path: string, options: LogOptions, reader: LogReader): Promise<void> {
  const { signal } = reader;
  const writer = createLogWriter(options);
  let file = await open(path, 'r');
  const changes = options.follow ? watchFile(path, signal) : undefined;
  try {
    let position = options.tailLines === undefined ? 0 : await tailStart(file, options.tailLines);
    let rest: Buffer = Buffer.alloc(0);
    let last = !options.follow;
    while (!signal.aborted && !writer.full) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(blockBytes), 0, blockBytes, position);
      if (bytesRead > 0) {
        position += bytesRead;
        rest = await writeLines(Buffer.concat([rest, buffer.subarray(0, bytesRead)]), writer, reader);
        continue;
      }
      if (last) break;
      const next = await rotated(path, file);
      if (next) {
        // What was written to the old file until the runtime let go of it has been read.
        await file.close();
        file = next;
        position = 0;
      } else if (await reader.isRunning()) await changes?.next(lookMs);
      else last = true;
    }
    if (rest.length > 0 && !writer.full && !options.follow) await writeOne(rest, writer, reader);
  } finally {
    changes?.close();
    await file.close();
  }
}

type Writer = ReturnType<typeof createLogWriter>;

/** Writes the whole lines, answers what is left. */
async function writeLines(data: Buffer, writer: Writer, reader: LogReader): Promise<Buffer> {
  const out: Buffer[] = [];
  let start = 0;
  for (let end = data.indexOf(newline); end >= 0 && !writer.full; end = data.indexOf(newline, start)) {
    const rendered = writer.render(data.subarray(start, end + 1));
    if (rendered) out.push(rendered);
    start = end + 1;
  }
  if (out.length > 0) await reader.write(Buffer.concat(out));
  return data.subarray(start);
}

async function writeOne(raw: Buffer, writer: Writer, reader: LogReader): Promise<void> {
  const rendered = writer.render(raw);
  if (rendered) await reader.write(rendered);
}

/** Where the last `count` lines begin. */
async function tailStart(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  if (count <= 0) return size;
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - blockBytes);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i -= 1) {
      if (buffer[i] !== newline) continue;
      found += 1;
      // The line end before the first wanted line; a last line without its end is one that is still being written.
      if (found > count) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** The new file, when the path has come to name another one. */
async function rotated(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  try {
    const [now, held] = await Promise.all([stat(path), file.stat()]);
    return now.ino === held.ino && now.dev === held.dev ? undefined : await open(path, 'r');
  } catch (error) {
    // Between the rename and the runtime's new file there is none.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function watchFile(path: string, signal: AbortSignal) {
  let wake: () => void = () => undefined;
  let pending = false;
  const name = basename(path);
  const note = () => {
    pending = true;
    wake();
  };
  const watcher = watch(dirname(path), (_, changed) => {
    if (changed === null || changed === name) note();
  });
  watcher.on('error', note);
  signal.addEventListener('abort', note, { once: true });
  return {
    /** Resolves with the next change, or after the time. */
    async next(limitMs: number): Promise<void> {
      if (!pending) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, limitMs);
        await promise;
        clearTimeout(timer);
      }
      pending = false;
    },
    close() {
      signal.removeEventListener('abort', note);
      watcher.close();
    },
  };
}
