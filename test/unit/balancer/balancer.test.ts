import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runBalancer } from '../../../src/components/balancer/balancer.ts';
import { buildKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { createLogger } from '../../../src/machinery/logging/logger.ts';
import { freePort } from '../../parts/free-port.ts';
import { ApiServer, ask, hold, makeAuthority } from './api-servers.ts';

let authority: Awaited<ReturnType<typeof makeAuthority>>;
let folder: string;
let servers: ApiServer[];
let stops: (() => Promise<void>)[];
const log = createLogger('test');
log.level = 'silent';

beforeAll(async () => {
  authority = await makeAuthority();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-balancer-'));
  await writeFile(join(folder, 'ca.crt'), authority.caPem);
  const port = await freePort();
  servers = await Promise.all(
    ['a', 'b', 'c'].map((name, i) => new ApiServer(name, `127.0.0.${i + 2}`, authority).start(port)),
  );
  stops = [];
});

afterEach(async () => {
  for (const stop of stops) await stop();
  await Promise.all(servers.map((server) => server.kill().catch(() => undefined)));
  await rm(folder, { recursive: true, force: true });
});

afterAll(() => log.flush());

/** The kubeconfig of a kubelet; without one the balancer is nobody. */
const writeKubeconfig = () =>
  writeFile(
    join(folder, 'kubelet.conf'),
    buildKubeconfig({ clusterName: 'c', userName: 'u', server: 'https://127.0.0.1:1', token: 't' }),
  );

/** @param from servers to begin with @returns the port of the balancer, and what ends it */
async function balance(from: readonly string[]): Promise<{ port: number; stop: () => Promise<void> }> {
  const port = await freePort();
  const abort = new AbortController();
  const options = {
    listen: { host: '127.0.0.1', port },
    servers: from,
    kubeconfig: join(folder, 'kubelet.conf'),
    certificateAuthority: join(folder, 'ca.crt'),
    state: join(folder, 'members.json'),
    nodeName: 'n1',
    probeTimeoutMs: 300,
    log,
  };
  const ended = runBalancer(options, abort.signal);
  const stop = async () => {
    abort.abort();
    await ended;
  };
  stops.push(stop);
  return { port, stop };
}

const addresses = () => servers.map(({ address }) => address);
const named = (name: string) => servers.find((server) => server.name === name) as ApiServer;

async function until<T>(attempt: () => Promise<T>, isDone: (value: T) => boolean, timeoutMs = 8_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await attempt().catch((error: Error) => error);
    if (!(value instanceof Error) && isDone(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`still ${value instanceof Error ? value.message : JSON.stringify(value)}`);
    await delay(20);
  }
}

/** Resolves as soon as anybody answers. */
const ready = ({ port }: { port: number }) => until(() => ask(port, authority.caPem), Boolean);

describe('the balancer of a node', { timeout: 20_000 }, () => {
  it('carries TLS untouched, all of it, both ways', async () => {
    const balancer = await balance(addresses());
    const name = await ready(balancer);
    expect(await ask(balancer.port, authority.caPem)).toBe(name);
    const body = 'x'.repeat(8 * 1024 * 1024);
    expect((await ask(balancer.port, authority.caPem, '/echo', body)) === body).toBe(true);
  });

  it('leads elsewhere at once when a server is killed, and back to it when it has returned', async () => {
    const balancer = await balance(addresses());
    const first = await ready(balancer);
    const { port } = named(first);
    await named(first).kill();
    const started = Date.now();
    expect(await ask(balancer.port, authority.caPem)).not.toBe(first);
    expect(Date.now() - started).toBeLessThan(2_000);
    await named(first).start(port);
    expect(
      await until(
        () => ask(balancer.port, authority.caPem),
        (name) => name === first,
      ),
    ).toBe(first);
  });

  it('ends connections to a server that is silent, and makes new ones elsewhere', async () => {
    const balancer = await balance(addresses());
    await ready(balancer);
    const { name, cut } = await hold(balancer.port, authority.caPem);
    named(name).condition = 'silent';
    const started = Date.now();
    await cut;
    expect(Date.now() - started).toBeLessThan(6_000);
    expect(await ask(balancer.port, authority.caPem)).not.toBe(name);
  });

  it('sends nobody new to a server that is not ready', async () => {
    const balancer = await balance(addresses());
    const first = await ready(balancer);
    await hold(balancer.port, authority.caPem);
    named(first).condition = 'unready';
    expect(
      await until(
        () => ask(balancer.port, authority.caPem),
        (name) => name !== first,
      ),
    ).not.toBe(first);
  });

  it('keeps connections to a server that is only busy, and makes new ones elsewhere', async () => {
    const balancer = await balance(addresses());
    await ready(balancer);
    const { name, cut } = await hold(balancer.port, authority.caPem);
    named(name).condition = 'busy';
    const ended = cut.then(() => 'cut');
    await until(
      () => ask(balancer.port, authority.caPem),
      (other) => other !== name,
    );
    expect(await Promise.race([ended, delay(3_000, 'kept')])).toBe('kept');
    named(name).condition = 'silent';
    expect(await ended).toBe('cut');
  });

  it('leads to no server whose certificate is not valid for where clients connect', async () => {
    const old = await new ApiServer('old', '127.0.0.8', authority.issue(['kubernetes', '127.0.0.8'])).start();
    stops.push(() => old.kill());
    const balancer = await balance([old.address, named('a').address]);
    expect(await until(() => ask(balancer.port, authority.caPem), Boolean)).toBe('a');
    for (let i = 0; i < 5; i++) expect(await ask(balancer.port, authority.caPem)).toBe('a');
  });

  it('keeps connections when no server is better', async () => {
    const balancer = await balance(addresses().slice(0, 1));
    await ready(balancer);
    const { name, cut } = await hold(balancer.port, authority.caPem);
    named(name).condition = 'unready';
    const ended = cut.then(() => 'cut');
    expect(await Promise.race([ended, delay(3_000, 'kept')])).toBe('kept');
    expect(await ask(balancer.port, authority.caPem)).toBe(name);
  });

  it('trusts no server of another cluster', async () => {
    const stranger = await new ApiServer('stranger', '127.0.0.9', await makeAuthority()).start();
    stops.push(() => stranger.kill());
    const balancer = await balance([stranger.address, named('a').address]);
    expect(await until(() => ask(balancer.port, authority.caPem), Boolean)).toBe('a');
    for (let i = 0; i < 5; i++) expect(await ask(balancer.port, authority.caPem)).toBe('a');
  });

  it('ends a connection when there is no server at all', async () => {
    await Promise.all(servers.map((server) => server.kill()));
    const balancer = await balance(['127.0.0.1:1']);
    await expect(until(() => ask(balancer.port, authority.caPem), Boolean, 100)).rejects.toThrow(/ECONNRESET|hang up/);
  });

  it('learns all servers from one of them, as soon as there are credentials', async () => {
    const [a, b] = [named('a'), named('b')];
    a.listed = b.listed = [a.host, b.host];
    const balancer = await balance([a.address]);
    expect(await ready(balancer)).toBe('a');
    await writeKubeconfig();
    const state = () => readFile(join(folder, 'members.json'), 'utf8');
    await until(state, (text) => text.includes(b.address));
    await a.kill();
    expect(await until(() => ask(balancer.port, authority.caPem), Boolean)).toBe('b');
    // The watch goes on through the other one.
    const c = named('c');
    b.list(b.host, c.host);
    await until(state, (text) => text.includes(c.address));
    expect(await state()).toContain('goneSince');
  });

  it('finds the cluster after a start by what it remembers', async () => {
    const [a, b] = [named('a'), named('b')];
    await writeFile(join(folder, 'members.json'), JSON.stringify([{ server: b.address }]));
    await a.kill();
    expect(await ready(await balance(['127.0.0.1:1']))).toBe('b');
  });

  it('begins with the servers of its command line when what it remembers is broken', async () => {
    await writeFile(join(folder, 'members.json'), '{');
    expect(await ready(await balance([named('c').address]))).toBe('c');
  });

  it('says that its port is taken', async () => {
    const { host, port } = named('a');
    const options = { listen: { host, port }, servers: [], kubeconfig: '', certificateAuthority: '' };
    const state = join(folder, 'members.json');
    const running = runBalancer(
      { ...options, state, nodeName: 'n', probeTimeoutMs: 300, log },
      new AbortController().signal,
    );
    await expect(running).rejects.toThrow(/EADDRINUSE/);
  });
});
