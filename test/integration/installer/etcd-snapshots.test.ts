/** A real etcd of three members over TLS: its status, defragmentation, members, and a snapshot that becomes an etcd again. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDebianRoot } from '../../../src/installer/bundle/debian-root.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { type EtcdAccess, membersOf, targetOf } from '../../../src/installer/etcd/access.ts';
import { withEtcd } from '../../../src/installer/etcd/connection.ts';
import { externalEtcdVersion, isNewEnough } from '../../../src/installer/etcd/external.ts';
import { defragment, planRemoval, promoteMember, removeMember } from '../../../src/installer/etcd/maintenance.ts';
import { etcdCredentials, initialClusterOf } from '../../../src/installer/etcd/members.ts';
import { beginRestore, restoreData } from '../../../src/installer/etcd/restore-data.ts';
import { listSnapshots } from '../../../src/installer/etcd/snapshot-file.ts';
import { saveSnapshot } from '../../../src/installer/etcd/snapshot-save.ts';
import { etcdStatus, memberStatuses } from '../../../src/installer/etcd/status.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { localHost } from '../../../src/installer/host/host.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority, ensureLeaf } from '../../../src/installer/pki/ensure.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../../parts/etcd.ts';
import { freePort } from '../../parts/free-port.ts';
import { scratchHost, scratchRoot } from '../../unit/installer/scratch.ts';

const root = scratchRoot();
const certificatesDir = '/pki';
const pki = join(root, certificatesDir, 'etcd');
const processes = new Map<string, ChildProcess>();
const signal = AbortSignal.timeout(110_000);
/** Commands run on this machine, and so do paths: what is below `root` is named with it. */
const host = localHost();
const folder = join(root, 'snapshots');

function runEtcd(place: EtcdPlace, cluster: string, state: 'new' | 'existing' = 'new'): void {
  processes.set(place.name, startEtcd(place, { folder: root, cluster, state, pki }));
}

async function stopEtcd(name: string): Promise<void> {
  const child = processes.get(name);
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

describe.sequential('the etcd of a cluster', () => {
  const places: EtcdPlace[] = [];
  let access: EtcdAccess;
  const pathBefore = process.env['PATH'];

  const put = (key: string, value: string) =>
    withEtcd(targetOf(access, access.endpoints[0]!), ({ kv }) =>
      kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, { deadline: Date.now() + 5_000 }),
    );
  const get = (endpoint: string, key: string) =>
    withEtcd(targetOf(access, endpoint), async ({ kv }) => {
      const { kvs, header } = await kv.range({ key: Buffer.from(key) }, { deadline: Date.now() + 5_000 });
      return { value: kvs[0]?.value.toString(), revision: Number(header.revision) };
    });
  const healthy = async (count: number, of = access) => {
    for (;;) {
      signal.throwIfAborted();
      const found = await memberStatuses(of).catch(() => undefined);
      if (found && found.members.filter((member) => member.healthy).length === count) return found.members;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  beforeAll(async () => {
    const { path } = await openDebianRoot(join(import.meta.dirname, '../../../.cache/bundle'), () => undefined);
    mkdirSync(join(root, 'bin'));
    for (const tool of ['etcd', 'etcdutl']) symlinkSync(join(path, 'usr/bin', tool), join(root, 'bin', tool));
    process.env['PATH'] = `${join(root, 'bin')}:${pathBefore}`;
    const scratch = scratchHost(root);
    const changes = createChanges(scratch, await openJournal(scratch));
    const config = resolveInit({ certDir: certificatesDir }, noConfig, { hostname: 'one', address: '127.0.0.1' }, []);
    for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
    for (const leaf of leafCertificates.filter(({ authority }) => authority === 'etcd/ca'))
      await ensureLeaf(changes, config, leaf);
    for (const name of ['one', 'two']) places.push(await etcdPlace(name, 'https'));
    const [one, two] = places as [EtcdPlace, EtcdPlace];
    const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',');
    for (const member of [one, two]) runEtcd(member, cluster);
    const credentials = await etcdCredentials(scratch, certificatesDir);
    access = { endpoints: [one.client], credentials, serverName: 'localhost', external: false };
    await healthy(2);
  });

  afterAll(async () => {
    process.env['PATH'] = pathBefore;
    for (const name of processes.keys()) await stopEtcd(name);
    rmSync(root, { recursive: true, force: true });
  });

  it('tells of each member, and of the majority', async () => {
    const status = await etcdStatus(host, access);
    expect(status.members).toHaveLength(2);
    expect(status.members.filter(({ leader }) => leader)).toHaveLength(1);
    for (const member of status.members) {
      expect(member).toMatchObject({
        healthy: true,
        learner: false,
        alarms: [],
        version: expect.stringMatching(/^3\.5/),
      });
      expect(member.dbSizeBytes).toBeGreaterThanOrEqual(member.dbSizeInUseBytes as number);
      expect(member.latencyMs).toBeGreaterThan(0);
    }
    expect(status.quorum.verdict).toBe('2 of 2 voting members answer, 2 are needed: none may be lost');
    expect(status.problems).toEqual([expect.stringMatching(/2 voting members bear no more losses than 1/)]);
  });

  it('gives a learner its vote once it is there', async () => {
    const third = await etcdPlace('three', 'https');
    places.push(third);
    const all = await membersOf(access, access.endpoints, 20_000, signal).addLearner(third.peer);
    const learner = (await memberStatuses(access)).members.find((member) => member.learner);
    await expect(promoteMember(access, learner!.id, signal)).rejects.toThrow(/cannot get a vote/);
    runEtcd(third, initialClusterOf(all, 'three', third.peer), 'existing');
    await healthy(3);
    expect(await promoteMember(access, 'three', signal)).toBe(true);
    expect(await promoteMember(access, 'three', signal)).toBe(false);
  });

  it('is defragmented member by member, the leader last', async () => {
    await put('/registry/a', 'x'.repeat(100_000));
    const leader = (await memberStatuses(access)).members.find((member) => member.leader)!.name;
    const done: string[] = [];
    await defragment(access, { signal, done: ({ member }) => done.push(member) });
    expect([...done].sort()).toEqual(['one', 'three', 'two']);
    expect(done.at(-1)).toBe(leader);
  });

  it('is written to a file that only its owner reads, with what is known of it', async () => {
    await put('/registry/a', 'before');
    const { path, info } = await saveSnapshot(host, access, { folder, signal });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(info).toMatchObject({
      sizeBytes: statSync(path).size,
      pki: false,
      clusterId: expect.stringMatching(/^[0-9a-f]+$/),
    });
    expect(info.revision).toBe((await get(access.endpoints[0]!, '/registry/a')).revision);
    await put('/registry/a', 'after');
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('keeps as many of a series as are asked for, and leaves others alone', async () => {
    writeFileSync(join(folder, 'scheduled-one-20200101T000000Z.db'), '');
    writeFileSync(join(folder, '.x.db.999999.kinit-draft'), 'of a run that was killed');
    const { removed } = await saveSnapshot(host, access, { folder, keep: 1, signal });
    expect(removed).toEqual([join(folder, 'scheduled-one-20200101T000000Z.db')]);
    expect(await listSnapshots(host, folder)).toHaveLength(2);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('leaves nothing behind when no member answers', async () => {
    const nobody = { ...access, endpoints: [`https://127.0.0.1:${await freePort()}`] };
    const before = readdirSync(folder);
    await expect(saveSnapshot(host, nobody, { folder, name: 'nobody.db', signal })).rejects.toThrow(
      /no member of etcd gave a snapshot/,
    );
    expect(readdirSync(folder)).toEqual(before);
  });

  it('loses a member only when it can bear that', async () => {
    const plan = await planRemoval(access, 'three');
    expect(plan.danger).toMatch(/without it 2 of 2 .* none may be lost/);
    await expect(removeMember(access, plan, { force: false, signal })).rejects.toThrow(/three is not removed/);
    await stopEtcd('three');
    await healthy(2);
    const lost = await planRemoval(access, 'three');
    expect(lost.danger).toBeUndefined();
    await removeMember(access, lost, { force: false, signal });
    expect((await memberStatuses(access)).members.map(({ name }) => name).sort()).toEqual(['one', 'two']);
  });

  it('says that it takes no writes when the majority is gone', async () => {
    await stopEtcd('two');
    for (;;) {
      const { quorum, problems } = await etcdStatus(host, access);
      if (!quorum.has && problems.some((problem) => /etcd takes no writes/.test(problem))) break;
      signal.throwIfAborted();
    }
    await stopEtcd('one');
  });

  it('is there again from the file, alone, with revisions that nobody has seen', async () => {
    const [entry] = (await listSnapshots(host, folder)).filter(({ path }) => path.includes('snapshot-'));
    const dataDir = join(root, 'one');
    const home = { ...host, ...pathsBelow(root) };
    const state = await beginRestore(home, entry!.info!.sha256, true);
    expect(state).toMatchObject({ mode: 'in-place', dataInPlace: false });
    const [one] = places as [EtcdPlace];
    const restored = await restoreData(home, entry!.path, { name: 'one', peerUrl: one.peer, dataDir }, state, signal);
    expect(restored.dataInPlace).toBe(true);
    expect(readdirSync(dataDir).sort()).toEqual(['member', restored.movedAside!.slice(dataDir.length + 1)]);
    expect(await beginRestore(home, entry!.info!.sha256, true)).toEqual(restored);
    runEtcd(one, `one=${one.peer}`);
    const [member] = await healthy(1);
    expect(member).toMatchObject({ name: 'one', leader: true });
    const { value, revision } = await get(one.client, '/registry/a');
    expect(value).toBe('before');
    expect(revision).toBeGreaterThan(1_000_000_000);
  });

  it('is asked for its version as one that is elsewhere', async () => {
    const external = {
      endpoints: access.endpoints,
      caFile: `${pki}/ca.crt`,
      certFile: `${pki}/server.crt`,
      keyFile: `${pki}/server.key`,
    };
    expect(isNewEnough(await externalEtcdVersion(host, external, access.endpoints[0]!))).toBe(true);
    const stranger = { ...external, caFile: join(root, certificatesDir, 'ca.crt') };
    await expect(externalEtcdVersion(host, stranger, access.endpoints[0]!)).rejects.toThrow(/does not answer/);
    expect(['3.4.27', '3.5.0', '3.6.1', '4.0.0'].map(isNewEnough)).toEqual([false, true, true, true]);
  });
});

/** The state of kinit lies below a folder, everything else where it is. */
function pathsBelow(folder: string) {
  const own = localHost(folder);
  const real = localHost();
  const pick = (path: string) => (path.startsWith('/var/lib/kinit') ? own : real);
  return {
    readFile: (path: string) => pick(path).readFile(path),
    writeFile: (path: string, ...rest: [string | Buffer, { mode?: number }?]) => pick(path).writeFile(path, ...rest),
    makeDirectory: (path: string, mode?: number) => pick(path).makeDirectory(path, mode),
    remove: (path: string) => pick(path).remove(path),
  };
}
