/** Moves the pods of a node elsewhere with the bundle's kubectl, within their budgets. */
import { pause } from '../../machinery/process/pause.ts';
import { KinitError } from '../errors.ts';
import { kubectl } from './cluster.ts';
import { type Connection, quote } from './connection.ts';

export interface DrainOptions {
  /** Seconds that pods get to end; their own without it. */
  gracePeriodSeconds?: number;
  /** Go's notation: `5m`. */
  timeout: string;
  /** Pods whose data lies in an emptyDir are ended, too. */
  deleteEmptyDirData: boolean;
  /** Pods that nobody will start elsewhere are ended, too. */
  force: boolean;
}

/** The words after `kubectl drain NODE`. */
export function drainWords({ gracePeriodSeconds, timeout, deleteEmptyDirData, force }: DrainOptions): string[] {
  return [
    '--ignore-daemonsets',
    `--timeout=${timeout}`,
    ...(gracePeriodSeconds === undefined ? [] : [`--grace-period=${gracePeriodSeconds}`]),
    ...(deleteEmptyDirData ? ['--delete-emptydir-data'] : []),
    ...(force ? ['--force'] : []),
  ];
}

const tries = 5;
const againMs = 5_000;

/** The API server was away for a moment, or etcd behind it: what was begun goes on when it is asked again. */
export const isPassingFailure = (text: string): boolean =>
  /etcdserver: |connection refused|server \S+ was refused|connection reset|unexpected EOF|TLS handshake timeout|ServiceUnavailable|TooManyRequests|currently unable to handle the request/.test(
    text,
  );

/** @param stays false: whoever asks lets pods come again when it fails */
export async function drain(
  { connection, nodeName }: { connection: Connection; nodeName: string },
  options: DrainOptions,
  signal: AbortSignal,
  stays = true,
): Promise<{ changed: boolean; detail: string }> {
  const words = ['drain', nodeName, ...drainWords(options)].map(quote).join(' ');
  let ended = 0;
  for (let left = tries; ; left--) {
    const { code, stdout, stderr } = await connection.root(`${kubectl} ${words}`, { signal, timeoutMs: 0 });
    ended += stdout.split('\n').filter((line) => /^pod\/\S+ (evicted|deleted)/.test(line)).length;
    if (code === 0) break;
    if (left > 1 && isPassingFailure(stderr)) {
      await pause(againMs, signal);
      signal.throwIfAborted();
      continue;
    }
    throw new KinitError('Command', `the node ${nodeName} cannot be drained${stays ? '; it stays cordoned' : ''}`, {
      host: connection.host,
      seen: stderr.trim() || stdout.trim(),
      advice: `a budget (PodDisruptionBudget) may forbid it for now; --delete-emptydir-data and ${stays ? '--force' : '--drain-force'} end pods that are left alone otherwise${stays ? '; take it back with: kinit nodes uncordon' : ''}`,
    });
  }
  return { changed: true, detail: `${ended} pod${ended === 1 ? '' : 's'} moved on` };
}
