/**
 * `npm run bench -- etcd`: a real etcd on loopback is filled with objects; a snapshot of it is taken and restored as `kinit etcd` does it,
 * beside plain copying of the same file on the same disk.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { openDebianRoot } from '../src/installer/bundle/debian-root.ts';
import { type EtcdAccess, targetOf } from '../src/installer/etcd/access.ts';
import { withEtcd } from '../src/installer/etcd/connection.ts';
import { restoreData } from '../src/installer/etcd/restore-data.ts';
import { saveSnapshot } from '../src/installer/etcd/snapshot-save.ts';
import { type Host, localHost } from '../src/installer/host/host.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../test/parts/etcd.ts';
import { measureReference, middle } from './reference.ts';
import { endReport } from './report.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1000' },
    /** On the disk that is measured. */
    folder: { type: 'string', default: join(root, '.cache') },
    keep: { type: 'boolean', default: false },
  },
});
const megabytes = Number(values.megabytes);
if (!Number.isInteger(megabytes) || megabytes < 1)
  throw new Error(`--megabytes is "${values.megabytes}"; it takes a whole number`);

const say = (line: string) => process.stdout.write(`${line}\n`);
const signal = AbortSignal.timeout(1_800_000);
const scratch = await mkdtemp(join(values.folder, 'bench-etcd-'));
/** As this host, but what a restore notes of itself stays in the scratch folder. */
const noted = (path: string) => (path.startsWith(scratch) ? path : join(scratch, 'state', path));
const machine = localHost();
const host: Host = {
  ...machine,
  makeDirectory: (path, mode) => machine.makeDirectory(noted(path), mode),
  writeFile: (path, ...rest) => machine.writeFile(noted(path), ...rest),
};

const accessOf = ({ client }: EtcdPlace): EtcdAccess => ({ endpoints: [client], external: true });

async function answers(access: EtcdAccess): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const up = await withEtcd(targetOf(access, access.endpoints[0]!), ({ kv }) =>
      kv.range({ key: Buffer.from('/registry/x') }, { deadline: Date.now() + 2_000 }),
    ).catch(() => undefined);
    if (up) return;
    await delay(50);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

/** Objects of two pages of the database, as large Pods are, a hundred in a transaction. @returns how many */
async function fill(access: EtcdAccess): Promise<number> {
  const objectBytes = 7900;
  const inOne = 100;
  const rounds = Math.ceil((megabytes * 1e6) / 8192 / inOne);
  await withEtcd(targetOf(access, access.endpoints[0]!), async ({ kv }) => {
    for (let round = 0; round < rounds; round++) {
      const success = Array.from({ length: inOne }, (_, i) => ({
        request_put: {
          key: Buffer.from(`/registry/pods/bench/pod-${round * inOne + i}`),
          // What no disk and no file system can make smaller.
          value: randomBytes(objectBytes),
        },
      }));
      await kv.txn({ compare: [], success: success as never, failure: [] }, { deadline: Date.now() + 60_000 });
    }
  });
  return rounds * inOne;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** `cp`, until it is on the disk. */
const copy = (from: string, to: string) =>
  execa('dd', [`if=${from}`, `of=${to}`, 'bs=1M', 'conv=fsync'], { stderr: 'ignore' });

async function count(access: EtcdAccess): Promise<number> {
  const { count: keys } = await withEtcd(targetOf(access, access.endpoints[0]!), ({ kv }) =>
    kv.range(
      { key: Buffer.from('/registry/'), range_end: Buffer.from('/registry0'), count_only: true },
      { deadline: Date.now() + 30_000 },
    ),
  );
  return Number(keys);
}

const running: ChildProcess[] = [];
const pathBefore = process.env['PATH'];
try {
  const { path: debian } = await openDebianRoot(join(root, '.cache/bundle'), () => undefined);
  const bin = join(scratch, 'bin');
  await mkdir(bin);
  for (const tool of ['etcd', 'etcdutl']) await symlink(join(debian, 'usr/bin', tool), join(bin, tool));
  process.env['PATH'] = `${bin}:${pathBefore}`;
  say('reference');
  const reference = await measureReference(process.execPath);
  const place = await etcdPlace('bench', 'http');
  const access = accessOf(place);
  const cluster = `bench=${place.peer}`;
  const first = startEtcd(place, { folder: scratch, cluster });
  running.push(first);
  await answers(access);
  say(`filling etcd with ${megabytes} MB`);
  let keys = 0;
  const fillSeconds = await seconds(async () => {
    keys = await fill(access);
  });
  const database = join(scratch, 'bench/member/snap/db');
  const { size } = await stat(database);
  const copies: number[] = [];
  const plain = async () => {
    copies.push(await seconds(() => copy(database, join(scratch, 'copy.db'))));
    await rm(join(scratch, 'copy.db'));
  };
  await plain();
  say('snapshot');
  let saved: Awaited<ReturnType<typeof saveSnapshot>> | undefined;
  const snapshots = join(scratch, 'snapshots');
  const saveSeconds = await seconds(async () => {
    saved = await saveSnapshot(host, access, { folder: snapshots, signal });
  });
  await plain();
  await end(first);
  say('restore');
  const dataDir = join(scratch, 'restored');
  await mkdir(dataDir, { mode: 0o700 });
  const { path, info } = saved!;
  const state = { sha256: info.sha256, mode: 'new-host' as const, dataInPlace: false };
  const member = { name: 'bench', peerUrl: place.peer, dataDir };
  const restoreSeconds = await seconds(() => restoreData(host, path, member, state, signal));
  await plain();
  let found = 0;
  const startSeconds = await seconds(async () => {
    running.push(startEtcd({ ...place, name: 'restored' }, { folder: scratch, cluster: `restored=${place.peer}` }));
    await answers(access);
    found = await count(access);
  });
  if (found !== keys) throw new Error(`the restored etcd has ${found} objects, ${keys} were saved`);
  const copySeconds = middle(copies);
  await endReport({
    name: 'etcd',
    folder: join(root, 'bench/results'),
    sample: values.keep ? 'sample-etcd' : undefined,
    reference,
    figures: [
      { what: 'database of etcd', value: size / 1e6, unit: 'MB' },
      { what: 'objects in it', value: keys, unit: '' },
      { what: 'etcd is filled', value: fillSeconds, unit: 's' },
      { what: 'the file is copied, to the disk (middle of three)', value: copySeconds, unit: 's' },
      { what: 'kinit etcd snapshot save', value: saveSeconds, unit: 's' },
      { what: 'kinit etcd restore: the data', value: restoreSeconds, unit: 's' },
      { what: 'the restored etcd starts, and has them all', value: startSeconds, unit: 's' },
      { what: 'snapshot, in copies of the file', value: saveSeconds / copySeconds, unit: '' },
      { what: 'restore, in copies of the file', value: restoreSeconds / copySeconds, unit: '' },
    ],
    phases: {},
  });
} finally {
  process.env['PATH'] = pathBefore;
  await Promise.all(running.map(end));
  await rm(scratch, { recursive: true, force: true });
}
