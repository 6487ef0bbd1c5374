/** Snapshots of etcd as files: `X.db`, what is known of it in `X.db.json`, and, when wanted, the cluster's keys in `X.db.pki`. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from '../host/host.ts';

export const infoPath = (path: string) => `${path}.json`;
export const pkiPath = (path: string) => `${path}.pki`;

export interface SnapshotInfo {
  /** When it was taken, RFC 3339. */
  time: string;
  /** Name of the node that took it. */
  node: string;
  clusterId: string;
  etcdVersion: string;
  kubernetesVersion: string;
  revision: number;
  keys: number;
  sizeBytes: number;
  /** Of the whole file. */
  sha256: string;
  /** The keys of the cluster lie beside it. */
  pki: boolean;
  /** The text of the ClusterConfiguration, for a control plane on another host. */
  clusterConfiguration?: string;
}

export interface SnapshotEntry {
  path: string;
  sizeBytes: number;
  /** Absent: taken by another program. */
  info?: SnapshotInfo;
}

const trailerBytes = 32;
const pageBytes = 512;

export interface Checksum {
  /** Of the whole file. */
  sha256: string;
  sizeBytes: number;
}

/**
 * Reads the file and checks the sha256 that etcd appends to what it streams.
 * @throws KinitError Validation when it is damaged, torn, or no snapshot
 */
export async function verifySnapshot(path: string): Promise<Checksum> {
  const whole = createHash('sha256');
  const content = createHash('sha256');
  let tail = Buffer.alloc(0);
  let sizeBytes = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      whole.update(chunk);
      sizeBytes += chunk.length;
      const all = tail.length ? Buffer.concat([tail, chunk]) : chunk;
      const cut = Math.max(0, all.length - trailerBytes);
      content.update(all.subarray(0, cut));
      tail = Buffer.from(all.subarray(cut));
    }
  } catch (error) {
    throw new KinitError('Validation', `the snapshot ${path} cannot be read`, { seen: (error as Error).message });
  }
  if (sizeBytes % pageBytes !== trailerBytes) {
    throw new KinitError('Validation', `${path} is no whole snapshot of etcd: its checksum is missing`, {
      seen: `${sizeBytes} bytes`,
      advice: 'the file was torn, or copied from a data directory; take another one',
    });
  }
  if (!content.digest().equals(tail)) {
    throw new KinitError('Validation', `the snapshot ${path} is damaged: its checksum does not fit`, {
      advice: 'take another one (kinit etcd snapshot list)',
    });
  }
  return { sha256: whole.digest('hex'), sizeBytes };
}

/** The bundle's, or the host's own. */
export async function etcdutlPath(host: Host): Promise<string> {
  const bundled = `${bundlePaths.bin}/etcdutl`;
  return (await exists(host, bundled)) ? bundled : 'etcdutl';
}

export interface DatabaseFacts {
  revision: number;
  keys: number;
  /** Of the content, as etcdutl prints it. */
  hash: string;
}

/** What is in the database, read by etcd's own tool. */
export async function databaseFacts(host: Host, path: string, signal?: AbortSignal): Promise<DatabaseFacts> {
  const tool = await etcdutlPath(host);
  const result = await host.run(tool, ['snapshot', 'status', path, '--write-out', 'json'], {
    observe: true,
    timeoutMs: 600_000,
    ...(signal ? { signal } : {}),
  });
  if (result.exitCode !== 0) {
    throw new KinitError('Validation', `etcdutl cannot read the snapshot ${path}`, {
      seen: result.stderr.trim() || result.stdout.trim(),
    });
  }
  const facts = JSON.parse(result.stdout) as { hash: number; revision: number; totalKey: number };
  return { revision: facts.revision, keys: facts.totalKey, hash: facts.hash.toString(16) };
}

export async function readInfo(host: Host, path: string): Promise<SnapshotInfo | undefined> {
  const text = await readText(host, infoPath(path));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as SnapshotInfo;
  } catch {
    throw new KinitError('Validation', `${infoPath(path)} is no JSON`, {
      advice: 'remove it; the snapshot may be good',
    });
  }
}

/** Newest first. */
export async function listSnapshots(host: Host, folder: string): Promise<SnapshotEntry[]> {
  const entries: SnapshotEntry[] = [];
  for (const name of await host.list(folder)) {
    if (!name.endsWith('.db') || name.startsWith('.')) continue;
    const path = join(folder, name);
    const facts = await host.stat(path);
    if (facts?.type !== 'file') continue;
    const info = await readInfo(host, path).catch(() => undefined);
    entries.push({ path, sizeBytes: facts.size, ...(info ? { info } : {}) });
  }
  const age = ({ path, info }: SnapshotEntry) =>
    info?.time.replaceAll(/[-:Z]/g, '') ?? /(\d{8}T\d{6})Z/.exec(basename(path))?.[1] ?? '';
  return entries.sort((a, b) => (age(a) < age(b) ? 1 : -1));
}

export async function removeSnapshot(host: Host, path: string): Promise<void> {
  // The database goes last: what is left of a removal that was broken off is still listed.
  for (const file of [pkiPath(path), infoPath(path), path]) await host.remove(file);
}
