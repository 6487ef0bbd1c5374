/** A real etcd of two members that has used up its quota: how room is made, and when its alarm is left alone. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDebianRoot } from '../../../src/installer/bundle/debian-root.ts';
import type { EtcdAccess } from '../../../src/installer/etcd/access.ts';
import { withEtcd } from '../../../src/installer/etcd/connection.ts';
import { disarm, freeSpace } from '../../../src/installer/etcd/space.ts';
import { type MemberStatus, memberStatuses } from '../../../src/installer/etcd/status.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../../parts/etcd.ts';
import { eventually } from '../../parts/eventually.ts';

const quotaBytes = 16 << 20;
const signal = AbortSignal.timeout(110_000);
const folder = mkdtempSync(join(tmpdir(), 'kinit-etcd-space-'));
const value = randomBytes(200_000);
const outOfSpace = /database space exceeded/;

describe.sequential('an etcd without space', () => {
  const places: EtcdPlace[] = [];
  const processes: ChildProcess[] = [];
  let program = '';
  let access: EtcdAccess;
  const room = { quotaBytes, dataDir: folder };

  const put = (key: string) =>
    withEtcd({ endpoint: access.endpoints[0]! }, ({ kv }) =>
      kv.put({ key: Buffer.from(key), value }, { deadline: Date.now() + 20_000 }),
    );
  const fill = async (keyOf: (n: number) => string) => {
    for (let n = 0; n < 200; n++) await put(keyOf(n));
  };
  const members = async (): Promise<MemberStatus[]> => (await memberStatuses(access)).members;
  const alarms = async () => (await members()).flatMap((member) => member.alarms);
  const start = async (state: 'new' | 'existing', limit: number) => {
    const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',');
    for (const place of places)
      processes.push(startEtcd(place, { folder, cluster, state, program, quotaBytes: limit }));
    await eventually(async () => expect((await members()).every(({ healthy }) => healthy)).toBe(true), 60_000);
  };
  const stop = async () => {
    for (const child of processes.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
  };

  beforeAll(async () => {
    const root = await openDebianRoot(join(import.meta.dirname, '../../../.cache/bundle'), () => undefined);
    program = join(root.path, 'usr/bin/etcd');
    for (const name of ['one', 'two']) places.push(await etcdPlace(name, 'http'));
    access = { endpoints: places.map(({ client }) => client), external: false };
    await start('new', quotaBytes);
  });

  afterAll(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes writes again when the old versions of its objects have gone', async () => {
    await expect(fill(() => 'one object, many times')).rejects.toThrow(outOfSpace);
    await expect(disarm(access, room)).rejects.toMatchObject({
      message: 'the alarm NOSPACE stays: etcd has no room for more',
      details: { advice: expect.stringContaining('kinit doctor --fix') },
    });
    expect(await alarms()).toContain('NOSPACE');

    const leader = (await members()).find((member) => member.leader)?.name;
    const made: string[] = [];
    await freeSpace(access, { ...room, signal, done: ({ member }) => made.push(member) });
    expect(made).toHaveLength(2);
    expect(made.at(-1)).toBe(leader);
    expect(await alarms()).toEqual([]);
    for (const { dbSizeBytes } of await members()) expect(dbSizeBytes).toBeLessThan(4e6);
    await put('after');
  });

  it('keeps its alarm while it is full of what is needed', async () => {
    // What is between its pages goes with the first defragmentation, and makes room for a few more.
    const fillUp = async () => {
      for (let round = 0; round < 10; round++) {
        await expect(fill((n) => `object ${round} ${n}`)).rejects.toThrow(outOfSpace);
        await freeSpace(access, { ...room, signal });
      }
    };
    await expect(fillUp()).rejects.toMatchObject({
      message: 'the alarm NOSPACE stays: etcd has no room for more',
      details: {
        // Pages that were allocated at once may go beyond the quota.
        seen: expect.stringMatching(/^(one|two): [12]\d\.\d MB of its 16\.8 MB, [12]\d\.\d MB of it in use/),
        advice: expect.stringContaining('--quota-backend-bytes=2147483648 in /etc/kubernetes/manifests/etcd.yaml'),
      },
    });
    expect(await alarms()).toContain('NOSPACE');
    await expect(put('another')).rejects.toThrow(outOfSpace);
  });

  it('takes writes again with a larger quota', async () => {
    await stop();
    await start('existing', 4 * quotaBytes);
    expect(await alarms()).toContain('NOSPACE');
    const made: string[] = [];
    await freeSpace(access, {
      ...room,
      quotaBytes: 4 * quotaBytes,
      signal,
      done: ({ member }) => made.push(member),
    });
    expect([made, await alarms()]).toEqual([[], []]);
    await put('after');
  });
});
