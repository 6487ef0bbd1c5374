/** Membership of a real etcd over TLS: a second member joins as a learner, gets its vote, and leaves. */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { EtcdMembers, etcdCredentials, initialClusterOf } from '../../../src/installer/etcd/members.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority, ensureLeaf } from '../../../src/installer/pki/ensure.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../../parts/etcd.ts';
import { freePort } from '../../parts/free-port.ts';
import { scratchHost, scratchRoot } from '../../unit/installer/scratch.ts';

const root = scratchRoot();
const host = scratchHost(root);
const certificatesDir = '/etc/kubernetes/pki';
const pki = join(root, certificatesDir, 'etcd');
const processes: ChildProcess[] = [];
const signal = AbortSignal.timeout(110_000);

describe.sequential('members of etcd', () => {
  let first: EtcdPlace;
  let second: EtcdPlace;
  let members: EtcdMembers;

  beforeAll(async () => {
    const changes = createChanges(host, await openJournal(host));
    const config = resolveInit({}, noConfig, { hostname: 'one', address: '127.0.0.1' }, []);
    for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
    for (const leaf of leafCertificates.filter(({ authority }) => authority === 'etcd/ca'))
      await ensureLeaf(changes, config, leaf);
    [first, second] = [await etcdPlace('one', 'https'), await etcdPlace('two', 'https')];
    processes.push(startEtcd(first, { folder: root, cluster: `one=${first.peer}`, pki }));
    members = new EtcdMembers({
      // The first endpoint never answers: the next one is asked.
      endpoints: [`https://127.0.0.1:${await freePort()}`, first.client],
      credentials: await etcdCredentials(host, certificatesDir),
      timeoutMs: 60_000,
      signal,
    });
  });

  afterAll(() => {
    for (const child of processes) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  const found = async () =>
    (await members.list()).map(({ name, learner }) => `${name || '?'}${learner ? ' learns' : ''}`).sort();

  it('the last one is not removed', async () => {
    expect(await found()).toEqual(['one']);
    expect(await members.remove(first.peer)).toBe(false);
    expect(await found()).toEqual(['one']);
  });

  it('one that joins is a learner first; adding it again changes nothing', async () => {
    const all = await members.addLearner(second.peer);
    expect(await found()).toEqual(['? learns', 'one']);
    expect((await members.addLearner(second.peer)).map(({ id }) => id).sort()).toEqual(all.map(({ id }) => id).sort());
    const initial = initialClusterOf(all, 'two', second.peer);
    expect(initial.split(',').sort()).toEqual([`one=${first.peer}`, `two=${second.peer}`]);
    processes.push(startEtcd(second, { folder: root, cluster: initial, state: 'existing', pki }));
  });

  it('it votes as soon as it has caught up', async () => {
    expect(await members.promote(second.peer)).toBe(true);
    expect(await found()).toEqual(['one', 'two']);
    expect(await members.promote(second.peer)).toBe(false);
  });

  it('it leaves, and is gone', async () => {
    expect(await members.remove(second.peer)).toBe(true);
    expect(await found()).toEqual(['one']);
    expect(await members.remove(second.peer)).toBe(false);
  });

  it('what does not answer is told with the endpoint, after its time', async () => {
    const nobody = new EtcdMembers({
      endpoints: [`https://127.0.0.1:${await freePort()}`],
      credentials: await etcdCredentials(host, certificatesDir),
      timeoutMs: 300,
      signal,
    });
    await expect(nobody.list()).rejects.toMatchObject({
      code: 'Timeout',
      details: { seen: expect.stringContaining('https://127.0.0.1:') },
    });
  });
});
