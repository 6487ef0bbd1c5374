/** Looks at etcd from a control plane: what each member says, how full it is, how fast the disk of this host's member is. */
import { manifestsDir } from '../config/paths.ts';
import { asKinitError } from '../errors.ts';
import { etcdAccess, manifestArgument } from '../etcd/access.ts';
import { quorumOf } from '../etcd/quorum.ts';
import { roomOf } from '../etcd/space.ts';
import { memberStatuses } from '../etcd/status.ts';
import { exists, type Host, readText } from '../host/host.ts';
import type { EtcdDisk, EtcdObservation } from './types.ts';

const metricsTimeoutMs = 3_000;

/** Undefined on a host that is no control plane. */
export async function observeEtcd(host: Host): Promise<EtcdObservation | undefined> {
  if (!(await exists(host, `${manifestsDir}/kube-apiserver.yaml`))) return undefined;
  const room = await roomOf(host);
  const empty = { external: room === undefined, members: [], quorum: quorumOf([]) };
  try {
    const access = await etcdAccess(host);
    const { members } = await memberStatuses(access);
    return {
      external: access.external,
      members,
      quorum: quorumOf(members),
      ...(room ? { quotaBytes: room.quotaBytes } : {}),
    };
  } catch (thrown) {
    const { message, details } = asKinitError(thrown);
    return { ...empty, error: details.seen ? `${message}: ${details.seen}` : message };
  }
}

type Buckets = [limit: number, count: number][];

/** Cumulative counts of a histogram without labels, by upper limit in seconds. */
export function histogramOf(metrics: string, name: string): Buckets {
  const line = new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\S+)$`, 'gm');
  return [...metrics.matchAll(line)].map(([, limit, count]) => [
    limit === '+Inf' ? Infinity : Number(limit),
    Number(count),
  ]);
}

/** The limit in milliseconds below which 99 of 100 lie; undefined when there are too few to tell. */
export function percentile99(now: Buckets, before: Buckets = []): number | undefined {
  const earlier = new Map(before);
  const counts = now.map(([limit, count]): [number, number] => [limit, count - (earlier.get(limit) ?? 0)]);
  const total = counts.at(-1)?.[1] ?? 0;
  if (total < 20) return undefined;
  const [limit] = counts.find(([, count]) => count >= total * 0.99) ?? [];
  if (limit === undefined) return undefined;
  // Above the last limit that etcd counts nothing more is known.
  return limit === Infinity ? (counts.at(-2)?.[0] ?? 0) * 1000 : limit * 1000;
}

async function ownMetrics(host: Host): Promise<string | undefined> {
  const manifest = await readText(host, `${manifestsDir}/etcd.yaml`);
  const [url] = (manifest && manifestArgument(manifest, 'listen-metrics-urls')?.split(',')) || [];
  if (!url?.startsWith('http:')) return undefined;
  try {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(metricsTimeoutMs) });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    // That it does not answer is told by the members' own status.
    return undefined;
  }
}

/** How long this host's member waits for its disk, since it was started. */
export async function observeEtcdDisk(host: Host): Promise<EtcdDisk | undefined> {
  const metrics = await ownMetrics(host);
  if (metrics === undefined) return undefined;
  const of = (name: string) => percentile99(histogramOf(metrics, `etcd_disk_${name}_duration_seconds`));
  const [walMs, commitMs] = [of('wal_fsync'), of('backend_commit')];
  return walMs === undefined || commitMs === undefined ? undefined : { walMs, commitMs };
}
