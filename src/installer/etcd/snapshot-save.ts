/** Takes a snapshot of a running etcd: streamed to a file of its own, checked, then given its name. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { load } from 'js-yaml';
import { syncFolder } from '../../machinery/atomic-file.ts';
import { defaultCertificatesDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { type EtcdAccess, targetOf } from './access.ts';
import { etcdMessage, withEtcd } from './connection.ts';
import { hexId } from './members.ts';
import { formatPkiBackup } from './pki-backup.ts';
import {
  databaseFacts,
  infoPath,
  listSnapshots,
  pkiPath,
  removeSnapshot,
  type SnapshotInfo,
  verifySnapshot,
} from './snapshot-file.ts';

export interface SaveOptions {
  folder: string;
  /** Name of the file; made of node and time when it is absent. */
  name?: string;
  /** One of a series: all but this many newest ones of the series are removed afterwards. */
  keep?: number;
  /** Also the keys of the cluster. */
  withPki?: boolean;
  /** Holds 64 hexadecimal digits that encrypt the keys. */
  pkiKeyFile?: string;
  signal: AbortSignal;
}

export interface SavedSnapshot {
  path: string;
  info: SnapshotInfo;
  /** Paths of older ones. */
  removed: string[];
}

/** Begins the names of snapshots that `keep` counts. */
export const seriesPrefix = 'scheduled-';

const configKey = '/registry/configmaps/kube-system/kubeadm-config';

interface ClusterFacts {
  clusterId: string;
  etcdVersion: string;
  kubernetesVersion: string;
  certificatesDir: string;
  clusterConfiguration?: string;
}

/** Read from etcd itself: a snapshot must be possible without an API server. */
async function clusterFacts(access: EtcdAccess, endpoint: string): Promise<ClusterFacts> {
  return withEtcd(targetOf(access, endpoint), async ({ maintenance, kv }) => {
    const deadline = Date.now() + 5_000;
    const { header, version } = await maintenance.status({ deadline });
    const { kvs } = await kv.range({ key: Buffer.from(configKey) }, { deadline });
    const clusterConfiguration = clusterConfigurationOf(kvs[0]?.value);
    const fields = (clusterConfiguration ? load(clusterConfiguration) : undefined) as
      | { kubernetesVersion?: string; certificatesDir?: string }
      | undefined;
    return {
      clusterId: hexId(header.cluster_id),
      etcdVersion: version,
      kubernetesVersion: fields?.kubernetesVersion ?? '',
      certificatesDir: fields?.certificatesDir ?? defaultCertificatesDir,
      ...(clusterConfiguration ? { clusterConfiguration } : {}),
    };
  });
}

/** Undefined when there is none, or another API server has written it in its binary form. */
function clusterConfigurationOf(value: Buffer | undefined): string | undefined {
  if (value?.[0] !== '{'.charCodeAt(0)) return undefined;
  const map = JSON.parse(value.toString('utf8')) as { data?: Record<string, string> };
  return map.data?.['ClusterConfiguration'];
}

async function streamTo(access: EtcdAccess, endpoint: string, draft: string, signal: AbortSignal): Promise<void> {
  const file = await open(draft, 'wx', 0o600);
  try {
    await withEtcd(targetOf(access, endpoint), async ({ maintenance }) => {
      const stream = (await maintenance.snapshot()) as unknown as AsyncIterable<{ blob: Buffer }> & { cancel(): void };
      const stop = () => stream.cancel();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const { blob } of stream) await file.write(blob);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    });
    await file.sync();
  } finally {
    await file.close();
  }
}

const timeStamp = (time: Date) => time.toISOString().replace(/[-:]|\.\d+/g, '');

export async function saveSnapshot(host: Host, access: EtcdAccess, options: SaveOptions): Promise<SavedSnapshot> {
  const { folder, keep, withPki = false, pkiKeyFile, signal } = options;
  const certificateKey = pkiKeyFile === undefined ? undefined : (await readText(host, pkiKeyFile))?.trim();
  if (pkiKeyFile !== undefined && !certificateKey) {
    throw new KinitError('Usage', `there is no key in ${pkiKeyFile}`, {
      advice: 'make one with: kinit certs certificate-key',
    });
  }
  const time = new Date();
  const node = hostname().toLowerCase();
  const name = options.name ?? `${keep === undefined ? 'snapshot-' : seriesPrefix}${node}-${timeStamp(time)}.db`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*\.db$/.test(name)) {
    throw new KinitError(
      'Usage',
      `"${name}" is no name for a snapshot: letters, digits, dots and dashes, ending in .db`,
    );
  }
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  if (await host.stat(path)) throw new KinitError('Usage', `${path} is there already; it is not overwritten`);
  await dropDrafts(host, folder);
  const draft = join(folder, `.${name}.${process.pid}.kinit-draft`);
  let facts: ClusterFacts | undefined;
  try {
    const seen: string[] = [];
    for (const endpoint of access.endpoints) {
      signal.throwIfAborted();
      try {
        facts = await clusterFacts(access, endpoint);
        await rm(draft, { force: true });
        await streamTo(access, endpoint, draft, signal);
        break;
      } catch (error) {
        signal.throwIfAborted();
        facts = undefined;
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error;
        seen.push(`${endpoint}: ${etcdMessage(error)}`);
      }
    }
    if (!facts) {
      throw new KinitError('Connection', 'no member of etcd gave a snapshot', {
        seen: seen.join('\n'),
        advice: 'look at: kinit etcd status',
      });
    }
    const { sha256, sizeBytes } = await verifySnapshot(draft);
    const { revision, keys } = await databaseFacts(host, draft, signal);
    const { certificatesDir, clusterConfiguration, ...rest } = facts;
    const info: SnapshotInfo = {
      time: `${time.toISOString().slice(0, 19)}Z`,
      node,
      ...rest,
      revision,
      keys,
      sizeBytes,
      sha256,
      pki: withPki,
      ...(clusterConfiguration ? { clusterConfiguration } : {}),
    };
    if (withPki) {
      await host.writeFile(pkiPath(path), await formatPkiBackup(host, certificatesDir, certificateKey), {
        mode: 0o600,
      });
    }
    await host.writeFile(infoPath(path), `${JSON.stringify(info, undefined, 2)}\n`, { mode: 0o600 });
    await rename(draft, path);
    await syncFolder(dirname(path));
    return { path, info, removed: keep === undefined ? [] : await prune(host, folder, keep) };
  } catch (error) {
    if (!(await host.stat(path))) for (const file of [infoPath(path), pkiPath(path)]) await host.remove(file);
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Of runs that were killed. */
async function dropDrafts(host: Host, folder: string): Promise<void> {
  for (const name of await host.list(folder)) {
    const pid = /^\..*\.(\d+)\.kinit-draft$/.exec(name)?.[1];
    if (pid && !(await host.stat(`/proc/${pid}`))) await host.remove(join(folder, name));
  }
}

async function prune(host: Host, folder: string, keep: number): Promise<string[]> {
  const series = (await listSnapshots(host, folder)).filter(({ path }) => basename(path).startsWith(seriesPrefix));
  const old = series.slice(Math.max(1, keep)).map(({ path }) => path);
  for (const path of old) await removeSnapshot(host, path);
  return old;
}
