/**
 * The audit log: lines are appended in the order in which they come, by one write at a time, while requests go on. Files are
 * rotated by size, and old ones go by number and age.
 */
import type { WriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

export interface LogFileOptions {
  /** `-`: standard output. */
  path: string;
  /** Bytes after which a new file is begun. */
  maxBytes: number;
  /** How many old files stay; 0: all. */
  maxBackups: number;
  /** How long old files stay; 0: for ever. */
  maxAgeMs: number;
  onError(lost: number, error: Error): void;
}

/** Lines that wait for a disk that does not keep up; what comes then is lost and counted. */
const mostWaiting = 16 << 20;

export class LogFile {
  readonly #options: LogFileOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #size = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** @throws Error when the file cannot be opened */
  async start(): Promise<void> {
    if (this.#options.path !== '-') await this.#open();
  }

  append(line: string): void {
    if (this.#waitingBytes > mostWaiting) {
      this.#options.onError(1, new Error('the disk does not keep up'));
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined;
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    // What comes in the same turn goes out in one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#write(Buffer.from(`${lines.join('\n')}\n`));
      } catch (error) {
        this.#options.onError(lines.length, error as Error);
      }
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#options.path === '-') {
      await written(process.stdout as unknown as WriteStream, bytes);
      return;
    }
    if (this.#size > 0 && this.#size + bytes.length > this.#options.maxBytes) await this.#rotate();
    this.#file ??= await this.#open();
    await this.#file.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #open(): Promise<FileHandle> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true });
    this.#file = await open(path, 'a', 0o600);
    this.#size = (await this.#file.stat()).size;
    return this.#file;
  }

  async #rotate(): Promise<void> {
    const { path } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    await rename(path, rotatedName(path, new Date()));
    await this.#sweep();
  }

  async #sweep(): Promise<void> {
    const { path, maxBackups, maxAgeMs } = this.#options;
    const folder = dirname(path);
    const old = (await readdir(folder))
      .map((name) => ({ name, time: rotatedAt(path, name) }))
      .filter((file): file is { name: string; time: number } => file.time !== undefined)
      .sort((a, b) => b.time - a.time);
    const gone = old.filter(
      ({ time }, i) => (maxBackups > 0 && i >= maxBackups) || (maxAgeMs > 0 && Date.now() - time > maxAgeMs),
    );
    for (const { name } of gone) await rm(join(folder, name), { force: true });
  }
}

/** `audit.log` → `audit-2026-01-31T10-20-30.456.log`, as upstream's rotated logs are called. */
export function rotatedName(path: string, time: Date): string {
  const extension = extname(path);
  const stamp = time.toISOString().replaceAll(':', '-').replace('Z', '');
  return join(dirname(path), `${basename(path, extension)}-${stamp}${extension}`);
}

export function rotatedAt(path: string, name: string): number | undefined {
  const extension = extname(path);
  const begin = `${basename(path, extension)}-`;
  if (!name.startsWith(begin) || !name.endsWith(extension)) return undefined;
  const [, day, hour, minute, rest] =
    /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(name.slice(begin.length, name.length - extension.length)) ??
    [];
  const time = Date.parse(`${day}T${hour}:${minute}:${rest}Z`);
  return Number.isNaN(time) ? undefined : time;
}

const written = (stream: WriteStream, bytes: Buffer) =>
  new Promise<void>((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())));
