/** How fast etcd's disk is: each change of the cluster waits until it is written there. */
import { dirname } from 'node:path';
import { exists } from '../host/host.ts';
import { type Check, error, type Finding, isOwnNode, warning } from './check.ts';

/** As large as a typical record of etcd's log. */
const blockBytes = 2300;
const blocks = 100;
/** A slow disk is known after this time as well. */
const budgetMs = 250;
/** etcd's documentation: the 99th percentile of a write to disk should be below 10 ms. */
const limitMs = 10;

/** The value below which this share of all values lies (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

export function judgeSyncs(folder: string, latencies: readonly number[]): Finding[] {
  const advice = 'give etcd a local SSD (etcd.local.dataDir), or one that others write less to';
  if (!latencies.length) {
    const message = `${folder} is on a slow or busy disk: nothing could be written there within ${budgetMs} ms`;
    return [warning('EtcdDisk', message, advice)];
  }
  const p99 = percentile(latencies, 0.99);
  if (p99 <= limitMs) return [];
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const message = `${folder} is on a slow disk: of ${latencies.length} writes with fdatasync 99% took up to ${ms(p99)} (median ${ms(percentile(latencies, 0.5))}); etcd wants less than ${limitMs} ms`;
  return [warning('EtcdDisk', message, advice)];
}

/** Not where etcd is at work already: the two would slow each other down. */
export const etcdDisk: Check = async (context) => {
  const { host, etcdDataDir, facts } = context;
  if (!etcdDataDir || facts.uid !== 0 || isOwnNode(context)) return [];
  let folder = etcdDataDir;
  while (folder !== '/' && !(await exists(host, folder))) folder = dirname(folder);
  try {
    return judgeSyncs(etcdDataDir, await host.timeSyncs(folder, { blockBytes, blocks, budgetMs }));
  } catch (failure) {
    const { code = '', message } = failure as NodeJS.ErrnoException;
    if (!['EROFS', 'ENOSPC', 'EACCES', 'EIO', 'EDQUOT'].includes(code)) throw failure;
    return [error('EtcdDisk', `etcd cannot write to ${etcdDataDir}: ${message}`, 'check this file system')];
  }
};
