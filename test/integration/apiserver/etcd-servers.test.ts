/** `--etcd-servers` with three members: reads, writes and watches go on when one of them is lost. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EtcdClient, EtcdUnavailableError } from '../../../src/components/apiserver/storage/etcd-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-etcd-'));
const names = ['a', 'b', 'c'];
const processes = new Map<string, ChildProcess>();

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });

const url = async () => `http://127.0.0.1:${await freePort()}`;

describe.sequential('three members of etcd', () => {
  let client: EtcdClient;
  let start: (name: string) => void;

  beforeAll(async () => {
    const places = await Promise.all(names.map(async (name) => ({ name, client: await url(), peer: await url() })));
    const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',');
    start = (name) => {
      const { client: own, peer } = places.find((place) => place.name === name)!;
      const flags = {
        name,
        'data-dir': join(folder, name),
        'listen-client-urls': own,
        'advertise-client-urls': own,
        'listen-peer-urls': peer,
        'initial-advertise-peer-urls': peer,
        'initial-cluster': cluster,
        'log-level': 'error',
      };
      const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
      processes.set(name, spawn('etcd', words, { stdio: 'ignore' }));
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

  it('are told as unavailable when two are lost', async () => {
    for (const name of ['a', 'b']) {
      const child = processes.get(name)!;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await expect(client.currentRevision(3_000)).rejects.toBeInstanceOf(EtcdUnavailableError);
  });
});
