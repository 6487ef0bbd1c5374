/** Rotates the log files of containers by size: rename, let the runtime open a new file, compress what was rotated before. */
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { LogRotationOptions } from '../types.ts';

const gzipSuffix = '.gz';
const temporarySuffix = '.tmp';

export interface LogRotation {
  start(signal: AbortSignal): void;
  /** One look at all running containers. */
  rotate(): Promise<void>;
  /** Removes a container's rotated files with its log. */
  clean(logPath: string): Promise<void>;
}

export function createLogRotation(options: LogRotationOptions): LogRotation {
  const { runtime, maxSizeBytes, maxFiles } = options;
  const onError = options.onError ?? (() => undefined);

  const rotateOne = async (containerId: string): Promise<void> => {
    const { logPath } = await runtime.containerStatus(containerId);
    if (!logPath) return;
    let size = await fileSize(logPath);
    if (size === undefined) {
      // The file may have been lost between a rename and the runtime's reopening.
      await runtime.reopenContainerLog(containerId);
      size = await fileSize(logPath);
      if (size === undefined) throw new Error(`failed to stat container log "${logPath}" after it was reopened`);
    }
    if (size < maxSizeBytes) return;
    await tidyRotated(logPath, maxFiles);
    const rotated = `${logPath}.${timestamp(new Date())}`;
    await rename(logPath, rotated);
    try {
      await runtime.reopenContainerLog(containerId);
    } catch (error) {
      // The runtime still writes to the old file: it gets its name back.
      await rename(rotated, logPath);
      throw error;
    }
  };

  const rotate = async () => {
    for (const container of await runtime.listContainers()) {
      if (container.state !== 'CONTAINER_RUNNING') continue;
      try {
        await rotateOne(container.id);
      } catch (error) {
        onError(`Failed to rotate log for container ${container.id}: ${(error as Error).message}`);
      }
    }
  };

  return {
    rotate,
    start(signal) {
      if (maxSizeBytes <= 0) return;
      let running = false;
      const timer = setInterval(() => {
        if (running) return;
        running = true;
        rotate()
          .catch((error: Error) => onError(`Failed to rotate container logs: ${error.message}`))
          .finally(() => {
            running = false;
          });
      }, options.monitorIntervalMs);
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    },
    async clean(logPath) {
      for (const file of await rotatedLogs(logPath)) await rm(file, { force: true });
      await rm(logPath, { force: true });
    },
  };
}

/** The files a log was rotated to, oldest first. */
export async function rotatedLogs(logPath: string): Promise<string[]> {
  const prefix = `${basename(logPath)}.`;
  const names = await readdir(dirname(logPath)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw error;
  });
  return names
    .filter((name) => name.startsWith(prefix))
    .sort()
    .map((name) => join(dirname(logPath), name));
}

/** Removes what an interruption left and what is too old, compresses the rest. One place is left for the log rotated next, one for the one in use. */
async function tidyRotated(logPath: string, maxFiles: number): Promise<void> {
  const all = await rotatedLogs(logPath);
  const kept: string[] = [];
  for (const file of all) {
    const compressed = file.endsWith(gzipSuffix) || all.includes(file + gzipSuffix);
    if (file.endsWith(temporarySuffix) || (compressed && !file.endsWith(gzipSuffix))) await rm(file, { force: true });
    else kept.push(file);
  }
  const surplus = Math.max(0, kept.length - Math.max(0, maxFiles - 2));
  for (const file of kept.slice(0, surplus)) await rm(file, { force: true });
  for (const file of kept.slice(surplus)) if (!file.endsWith(gzipSuffix)) await compress(file);
}

async function compress(file: string): Promise<void> {
  const temporary = file + temporarySuffix;
  try {
    await pipeline(createReadStream(file), createGzip(), createWriteStream(temporary));
    await rename(temporary, file + gzipSuffix);
  } finally {
    await rm(temporary, { force: true });
  }
  await rm(file);
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const timestamp = (date: Date): string =>
  date
    .toISOString()
    .replace(/[-:T]/g, '')
    .slice(0, 14)
    .replace(/(.{8})/, '$1-');
