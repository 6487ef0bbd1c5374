/** The balancer of a node between real API servers: what it may ask, what it learns, and what a client sees when one dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBalancer } from '../../../src/components/balancer/balancer.ts';
import { applyObjects } from '../../../src/installer/addons/apply.ts';
import { renderObjects } from '../../../src/installer/config/templates.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { createInformerFactory } from '../../../src/machinery/informer/factory.ts';
import { createLogger } from '../../../src/machinery/logging/logger.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { eventually } from '../../parts/eventually.ts';
import { freePort } from '../../parts/free-port.ts';

let cluster: ControlPlane;
let servers: ChildProcess[] = [];
let folder: string;
let state: string;
let through: Client;
const ended = new AbortController();
let running: Promise<void> | undefined;
const log = createLogger('test');
log.level = 'silent';

/** Addresses of documentation (RFC 5737): an API server does not take one of loopback for an endpoint. */
const hosts = ['192.0.2.21', '192.0.2.22'];

/** API servers on the etcd of the cluster, all at the same port. */
function startServers(): ChildProcess[] {
  const [, ...args] = cluster.process('apiserver').spawnargs;
  return hosts.map((host) =>
    spawn(process.execPath, [...args, `--bind-address=${host}`, `--advertise-address=${host}`], { stdio: 'ignore' }),
  );
}

describe('the balancer between real API servers', () => {
  beforeAll(async () => {
    for (const host of hosts) await execa('ip', ['address', 'replace', `${host}/32`, 'dev', 'lo']);
    cluster = await startControlPlane({ arguments: [`--advertise-address=${hosts[0]}`] });
    servers = startServers();
    folder = await mkdtemp(join(tmpdir(), 'kinit-balancer-'));
    state = join(folder, 'members.json');
    const admin = await loadKubeconfig(cluster.kubeconfig('admin'));
    const direct = createClient(admin);
    await applyObjects(direct, renderObjects('cluster/local-endpoint.yaml', {}), {
      signal: AbortSignal.timeout(20_000),
    });
    direct.close();
    // It gave the cluster its first objects; from now on there are those two.
    cluster.process('apiserver').kill();
    const port = await freePort();
    const options = {
      listen: { host: '127.0.0.1', port },
      servers: [`${hosts[0]}:${cluster.port}`],
      kubeconfig: await cluster.issue('system:node:n1', ['system:nodes']),
      certificateAuthority: join(cluster.dir, 'ca.crt'),
      state,
      nodeName: 'n1',
      probeTimeoutMs: 1_000,
      log,
    };
    running = runBalancer(options, ended.signal);
    through = createClient({ ...admin, server: `https://127.0.0.1:${port}` });
  }, 90_000);

  afterAll(async () => {
    through?.close();
    ended.abort();
    await running;
    for (const server of servers) server.kill('SIGKILL');
    await cluster?.stop();
    for (const host of hosts) await execa('ip', ['address', 'delete', `${host}/32`, 'dev', 'lo'], { reject: false });
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it('learns of all of them as the node that it runs on', async () => {
    await eventually(async () => {
      const known = await readFile(state, 'utf8');
      for (const host of hosts) expect(known).toContain(`"${host}:${cluster.port}"`);
    }, 30_000);
  }, 40_000);

  it('lets watches and requests go on when either of them stops to answer', async () => {
    const factory = createInformerFactory(through);
    const informer = factory.informer(configMaps, { namespace: 'default' });
    const stop = new AbortController();
    factory.start(stop.signal);
    await factory.synced(AbortSignal.timeout(10_000));
    const make = (name: string) =>
      eventually(
        () => through.resource(configMaps).create({ metadata: { name, namespace: 'default' } }, { timeoutMs: 2_000 }),
        10_000,
      );
    const seen = (name: string) =>
      eventually(async () => expect(informer.store.get(`default/${name}`)).toBeDefined(), 10_000);
    for (const [i, server] of servers.entries()) {
      // Stopped, not killed: its connections stay open, as those of a host that is lost.
      server.kill('SIGSTOP');
      const since = Date.now();
      await make(`written-without-${i}`);
      await seen(`written-without-${i}`);
      expect(Date.now() - since).toBeLessThan(10_000);
      server.kill('SIGCONT');
      await eventually(async () => {
        const answer = await through.raw('GET', '/readyz', { timeoutMs: 1_000 });
        expect(answer.status).toBe(200);
      }, 10_000);
    }
    stop.abort();
  }, 60_000);
});
