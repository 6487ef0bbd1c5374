/** What a container left as its last words: its termination log, or the end of its output when it failed without any. */
import { open } from 'node:fs/promises';
import { annotations } from '../cri/labels.ts';
import type { RuntimeContainerStatus } from '../cri/types.ts';

const messageLimit = 4096;
const fallbackBytes = 2048;
const fallbackLines = 80;

/** The message of its terminated state, the runtime's own included. */
export async function terminationMessage(status: RuntimeContainerStatus): Promise<string> {
  const path = status.annotations[annotations.terminationMessagePath];
  const fromLogs = status.annotations[annotations.terminationMessagePolicy] === 'FallbackToLogsOnError';
  const mount = status.mounts.find(({ containerPath }) => path !== undefined && containerPath === path);
  let text = mount ? await endOf(mount.hostPath, messageLimit) : '';
  if (!text && fromLogs && status.exitCode !== 0 && status.logPath)
    text = lastLines(await endOf(status.logPath, 64 << 10));
  if (!text) return status.message;
  return status.message ? `${status.message}: ${text}` : text;
}

/** Up to `limit` bytes; nothing when the file cannot be read. */
async function endOf(path: string, limit: number): Promise<string> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'EISDIR') return undefined;
    throw error;
  });
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const length = Math.min(size, limit);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await file.close();
  }
}

/** The output in lines of a CRI log: time, stream and tag of each line go. */
export function lastLines(log: string): string {
  const lines = log.split('\n').filter((line) => line !== '');
  let output = '';
  for (const line of lines.slice(-fallbackLines)) {
    const match = /^\S+ (?:stdout|stderr) (F|P)(?::\S*)? ?(.*)$/.exec(line);
    if (match) output += match[1] === 'F' ? `${match[2]}\n` : match[2];
  }
  return Buffer.from(output).subarray(-fallbackBytes).toString();
}
