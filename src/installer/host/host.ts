/**
 * The machine that is worked on: files, and commands. Everything else of the installer reaches the machine through this
 * interface, so that a test can hand in a scratch root and a dry run an overlay that writes nothing.
 */
import { channel } from 'node:diagnostics_channel';
import {
  lchown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { syncFolder } from '../../machinery/atomic-file.ts';
import { KinitError } from '../errors.ts';
import { fullAdvice, isFull, noRoom } from './no-room.ts';
import { commandMark } from './processes.ts';
import { type SyncTiming, timeSyncs } from './sync-timing.ts';

export interface FileFacts {
  type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits only. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Of a symlink. */
  target?: string;
}

export interface WriteFileOptions {
  /** Default 0o644. */
  mode?: number;
  uid?: number;
  gid?: number;
}

export interface CommandOptions {
  /** Only looks, changes nothing: also run in a dry run. */
  observe?: boolean;
  /** Default 60 000. */
  timeoutMs?: number;
  input?: string | Readable;
  env?: Record<string, string>;
  signal?: AbortSignal;
}

export interface CommandResult {
  /** 127 when there is no such program. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface Host {
  /** True when nothing is really written or run. */
  readonly dryRun: boolean;
  readFile(path: string): Promise<Buffer | undefined>;
  stat(path: string): Promise<FileFacts | undefined>;
  /** Names in a folder; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /**
   * Replaces the file in one step: readers see the old or the new content, also after the power was lost. Its owner stays,
   * unless another one is given.
   */
  writeFile(path: string, content: string | Buffer, options?: WriteFileOptions): Promise<void>;
  /** Makes a file in one step, unless something is there: false then. */
  writeNewFile(path: string, content: string): Promise<boolean>;
  /** Appends and waits until it is on disk; what cannot be written whole is taken back. */
  appendFile(path: string, content: string, mode?: number): Promise<void>;
  /** Writes to a file of the kernel (/proc, /sys): in place, the error is the kernel's. */
  writeKernel(path: string, value: string): Promise<void>;
  symlink(path: string, target: string): Promise<void>;
  makeDirectory(path: string, mode?: number): Promise<void>;
  /** Of a file, a folder, or a link itself. */
  setOwner(path: string, uid: number, gid: number): Promise<void>;
  /** Removes a file, a link, or a folder with what is in it; missing is fine. */
  remove(path: string): Promise<void>;
  /** Removes a folder if it is empty. */
  removeEmptyDirectory(path: string): Promise<void>;
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** Milliseconds that each of some blocks took to the disk of a folder; nothing is left there. */
  timeSyncs(folder: string, options: SyncTiming): Promise<number[]>;
}

/** What is published, for whoever wants to tell it, of each command that has run. Arguments hold no secrets. */
export interface CommandTrace {
  command: string;
  args: readonly string[];
  exitCode: number;
  ms: number;
}

export const commandTraces = 'kinit:command';
const traces = channel(commandTraces);

export async function readText(host: Host, path: string): Promise<string | undefined> {
  return (await host.readFile(path))?.toString('utf8');
}

export async function exists(host: Host, path: string): Promise<boolean> {
  return (await host.stat(path)) !== undefined;
}

/** Runs a command that must succeed. */
export async function runOrFail(
  host: Host,
  command: string,
  args: readonly string[],
  options: CommandOptions & { advice?: string } = {},
): Promise<CommandResult> {
  const result = await host.run(command, args, options);
  if (result.exitCode === 0) return result;
  const line = [command, ...args].join(' ');
  const message = result.exitCode === 127 ? `${command} is not installed on this host` : `\`${line}\` failed`;
  throw new KinitError('Command', message, {
    seen: [`exit code ${result.exitCode}`, result.stderr.trim() || result.stdout.trim()].filter(Boolean).join('\n'),
    advice: isFull(result.stderr) ? fullAdvice : options.advice,
  });
}

/** undefined instead of a throw when there is nothing at the path. */
async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Where a file is written before it gets its name; `kinit reset` knows it. */
const draftOf = (path: string) => join(dirname(path), `.${basename(path)}.kinit-draft`);

/** A write to a place; what is wrong with the place is told with it. */
async function writing<T>(path: string, bytes: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isFull(error) ? await noRoom(path, bytes) : error;
  }
}

/** Leaves nothing behind when it fails. */
async function drafted(draft: string, work: () => Promise<void>): Promise<void> {
  await rm(draft, { force: true });
  try {
    await work();
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/**
 * This machine, or a folder of it that stands for one.
 * @param root prefix of every path; commands always run on this machine
 */
export function localHost(root = ''): Host {
  const at = (path: string) => (root ? join(root, path) : path);
  return {
    dryRun: false,
    readFile: (path) => ifPresent(readFile(at(path))),
    async stat(path) {
      const facts = await ifPresent(lstat(at(path)));
      if (!facts) return undefined;
      const type = facts.isFile()
        ? 'file'
        : facts.isDirectory()
          ? 'directory'
          : facts.isSymbolicLink()
            ? 'symlink'
            : 'other';
      const { uid, gid, size } = facts;
      const target = type === 'symlink' ? await readlink(at(path)) : undefined;
      return { type, mode: facts.mode & 0o7777, uid, gid, size, target };
    },
    list: async (path) => ((await ifPresent(readdir(at(path)))) ?? []).sort(),
    writeFile: (path, content, { mode = 0o644, uid, gid } = {}) =>
      writing(path, Buffer.byteLength(content), async () => {
        const target = at(path);
        const draft = draftOf(target);
        const before = await ifPresent(lstat(target));
        await drafted(draft, async () => {
          const handle = await open(draft, 'wx', mode);
          try {
            await handle.writeFile(content);
            await handle.chmod(mode);
            const made = await handle.stat();
            const owner = uid !== undefined && gid !== undefined ? { uid, gid } : before?.isFile() ? before : made;
            if (owner.uid !== made.uid || owner.gid !== made.gid) await handle.chown(owner.uid, owner.gid);
            await handle.sync();
          } finally {
            await handle.close();
          }
          await rename(draft, target);
        });
        await syncFolder(dirname(target));
      }),
    writeNewFile: (path, content) =>
      writing(path, Buffer.byteLength(content), async () => {
        const draft = `${at(path)}.${process.pid}`;
        await writeFile(draft, content);
        try {
          await link(draft, at(path));
          return true;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
          throw error;
        } finally {
          await rm(draft, { force: true });
        }
      }),
    appendFile: (path, content, mode = 0o600) =>
      writing(path, Buffer.byteLength(content), async () => {
        const handle = await open(at(path), 'a', mode);
        try {
          const { size } = await handle.stat();
          try {
            await handle.writeFile(content);
            await handle.sync();
          } catch (error) {
            await handle.truncate(size);
            throw error;
          }
          if (size === 0)
            for (const folder of [dirname(at(path)), dirname(dirname(at(path)))]) await syncFolder(folder);
        } finally {
          await handle.close();
        }
      }),
    async writeKernel(path, value) {
      const handle = await open(at(path), 'w');
      try {
        await handle.writeFile(value);
      } finally {
        await handle.close();
      }
    },
    symlink: (path, target) =>
      writing(path, 0, async () => {
        const place = at(path);
        const draft = draftOf(place);
        await drafted(draft, async () => {
          await symlink(target, draft);
          await rename(draft, place);
        });
        await syncFolder(dirname(place));
      }),
    makeDirectory: (path, mode = 0o755) =>
      writing(path, 0, async () => {
        await mkdir(at(path), { recursive: true, mode });
      }),
    setOwner: (path, uid, gid) => lchown(at(path), uid, gid),
    remove: (path) => rm(at(path), { recursive: true, force: true }),
    async removeEmptyDirectory(path) {
      await rmdir(at(path)).catch((error: NodeJS.ErrnoException) => {
        if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(error.code ?? '')) throw error;
      });
    },
    async run(command, args, { timeoutMs = 60_000, input, env, signal } = {}) {
      const started = performance.now();
      const result = await execa(command, args, {
        reject: false,
        timeout: timeoutMs,
        env: { ...commandMark(), ...env },
        cancelSignal: signal,
        ...(input === undefined ? { stdin: 'ignore' } : typeof input === 'string' ? { input } : { input }),
      });
      if (traces.hasSubscribers) {
        const ms = Math.round(performance.now() - started);
        traces.publish({ command, args, exitCode: result.exitCode ?? 128, ms } satisfies CommandTrace);
      }
      if (result.code === 'ENOENT') return { exitCode: 127, stdout: '', stderr: `${command}: command not found` };
      if (result.timedOut) {
        throw new KinitError('Timeout', `\`${[command, ...args].join(' ')}\` did not end within ${timeoutMs} ms`, {
          seen: result.stderr,
        });
      }
      return {
        exitCode: result.exitCode ?? 128,
        stdout: result.stdout,
        stderr: result.stderr || (result.shortMessage ?? ''),
      };
    },
    timeSyncs: (folder, timing) => timeSyncs(at(folder), timing),
  };
}
