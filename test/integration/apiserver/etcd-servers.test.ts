/** `--etcd-servers` with three members: reads, writes and watches go on when one of them is lost. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EtcdClient, EtcdUnavailableError } from '../../../src/components/apiserver/storage/etcd-client.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../../parts/etcd.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-etcd-'));
const names = ['a', 'b', 'c'];
const processes = new Map<string, ChildProcess>();

/** Stands before a member and counts the connections to it. */
async function startRelay(to: string) {
  const sockets: Socket[] = [];
  let count = 0;
  const server = createServer((socket) => {
    count++;
    const beyond = connect(Number(new URL(to).port), '127.0.0.1');
    for (const each of [socket, beyond]) each.on('error', () => each.destroy());
    sockets.push(socket, beyond);
    socket.pipe(beyond).pipe(socket);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe.sequential('three members of etcd', () => {
  let client: EtcdClient;
  let places: EtcdPlace[];
  let start: (name: string) => void;

  beforeAll(async () => {
    places = await Promise.all(names.map((name) => etcdPlace(name, 'http')));
    const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',');
    start = (name) => {
      const place = places.find((one) => one.name === name)!;
      processes.set(name, startEtcd(place, { folder, cluster }));
    };
    for (const name of names) start(name);
    client = new EtcdClient({ servers: places.map((place) => place.client), connectPatienceMs: 30_000 });
    await vi.waitFor(() => client.currentRevision(), { timeout: 60_000, interval: 200 });
  });

  afterAll(() => {
    client?.close();
    for (const child of processes.values()) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** As the storage does: a write that may have gone through is read, not repeated. */
  const put = (key: string) =>
    vi.waitFor(
      async () => {
        const { kv } = await client.get(key);
        if (!kv) await client.txn([{ key, modRevision: 0 }], [{ op: 'put', key, value: 'x' }]);
      },
      { timeout: 30_000, interval: 100 },
    );

  it('keep the connection and its watch when a call is late', async () => {
    const relay = await startRelay(places[0]!.client);
    const own = new EtcdClient({ servers: [relay.url] });
    const closed: unknown[] = [];
    const revisions: number[] = [];
    try {
      const since = await vi.waitFor(() => own.currentRevision(), { timeout: 30_000 });
      const created = Promise.withResolvers<void>();
      const end = await own.watchAll(since + 1, {
        onEvents: (_, revision) => revisions.push(revision),
        onCreated: created.resolve,
        onCompacted: () => closed.push('compacted'),
        onClosed: (error) => closed.push(error),
      });
      await created.promise;
      const member = processes.get(names[0]!)!;
      member.kill('SIGSTOP');
      await expect(own.currentRevision(200)).rejects.toBeInstanceOf(EtcdUnavailableError);
      member.kill('SIGCONT');
      const key = '/registry/after-a-late-call';
      await vi.waitFor(() => own.txn([], [{ op: 'put', key, value: 'x' }]), { timeout: 30_000 });
      const { kv } = await own.get(key);
      await vi.waitFor(() => expect(revisions).toContain(kv?.modRevision), { timeout: 30_000 });
      end();
      expect(closed).toEqual([]);
      expect(relay.connections()).toBe(1);
    } finally {
      own.close();
      relay.close();
    }
  });

  it('end a watch on a member that says nothing any more', async () => {
    const own = new EtcdClient({ servers: [places[0]!.client] });
    const member = processes.get(names[0]!)!;
    try {
      const since = await vi.waitFor(() => own.currentRevision(), { timeout: 30_000 });
      const created = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<Error | undefined>();
      const unexpected = () => closed.reject(new Error('nothing was compacted'));
      const handlers = { onEvents: () => undefined, onCompacted: unexpected, onClosed: closed.resolve };
      await own.watchAll(since + 1, { ...handlers, onCreated: created.resolve });
      await created.promise;
      member.kill('SIGSTOP');
      const silent = new Promise<never>((_, reject) => setTimeout(reject, 25_000, new Error('still open')));
      expect((await Promise.race([closed.promise, silent]))?.message).toBeTruthy();
    } finally {
      member.kill('SIGCONT');
      own.close();
    }
  });

  it.each(names)('go on without %s, and take it back', async (name) => {
    const child = processes.get(name)!;
    await put(`/registry/before-${name}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await put(`/registry/without-${name}`);
    for (let i = 0; i < 6; i++) {
      const { kv } = await vi.waitFor(() => client.get(`/registry/without-${name}`), { timeout: 30_000 });
      expect(kv?.value.toString()).toBe('x');
    }
    start(name);
    await put(`/registry/after-${name}`);
  });

  it('are told as unavailable when two are lost, and a watch on the third one ends', async () => {
    const alone = new EtcdClient({ servers: [places.find(({ name }) => name === 'c')!.client] });
    const closed = new Promise<Error | undefined>((resolve, reject) => {
      const unexpected = () => reject(new Error('nothing was compacted'));
      const handlers = { onEvents: () => undefined, onCompacted: unexpected, onClosed: resolve };
      vi.waitFor(() => alone.currentRevision(), { timeout: 30_000 })
        .then((revision) => new Promise<void>((onCreated) => alone.watchAll(revision + 1, { ...handlers, onCreated })))
        .then(loseTwo)
        .catch(reject);
    });
    expect((await closed)?.message).toMatch(/no leader/);
    alone.close();
    await expect(client.currentRevision(3_000)).rejects.toBeInstanceOf(EtcdUnavailableError);
  });

  async function loseTwo(): Promise<void> {
    for (const name of ['a', 'b']) {
      const child = processes.get(name)!;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
});
