/** The virtual address between hosts that are network namespaces, with the Lease in a real API server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { eventually } from '../../parts/eventually.ts';

const root = join(import.meta.dirname, '../../..');
/** Of documentation (RFC 5737). */
const address = (last: number) => `198.51.100.${last}`;
const virtual = address(100);
const bridge = 'kinit-vip';
const hosts = ['kvip1', 'kvip2'];
const client = 'kvipc';

let cluster: ControlPlane;
const processes = new Map<string, ChildProcess>();

const ip = (...args: string[]) => execa('ip', args);
const inside = async (name: string, ...command: string[]) =>
  (await execa('ip', ['netns', 'exec', name, ...command], { reject: false })).stdout;

function start(name: string, kubeconfig = cluster.kubeconfig('admin')): void {
  const args = [
    join(root, 'src/components/virtual-ip/main.ts'),
    `--address=${virtual}`,
    `--server=${address(254)}:${cluster.port}`,
    `--kubeconfig=/nowhere,${kubeconfig}`,
    `--node-name=${name}`,
  ];
  const node = join(root, 'node_modules/.bin/node');
  const child = spawn('ip', ['netns', 'exec', name, node, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.resume();
  processes.set(name, child);
}

async function end(name: string, signal: NodeJS.Signals): Promise<void> {
  const child = processes.get(name);
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

const holders = async () => {
  const found: string[] = [];
  for (const name of hosts)
    if ((await inside(name, 'ip', '-o', 'address')).includes(` ${virtual}/32 `)) found.push(name);
  return found;
};

/** Where the client's kernel believes the address to be. */
const neighbour = async () => /lladdr (\S+)/.exec(await inside(client, 'ip', 'neigh', 'show', virtual))?.[1];
const hardware = async (name: string) =>
  /link\/ether (\S+)/.exec(await inside(name, 'ip', 'link', 'show', 'eth0'))?.[1];

describe('a virtual address', () => {
  beforeAll(async () => {
    await ip('link', 'add', bridge, 'type', 'bridge');
    await ip('address', 'add', `${address(254)}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    for (const [i, name] of [...hosts, client].entries()) {
      await ip('netns', 'add', name);
      await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      await ip('link', 'set', name, 'master', bridge, 'up');
      await ip('-n', name, 'address', 'add', `${address(11 + i)}/24`, 'dev', 'eth0');
      for (const link of ['lo', 'eth0']) await ip('-n', name, 'link', 'set', link, 'up');
    }
    cluster = await startControlPlane({ arguments: ['--bind-address=0.0.0.0'] });
  }, 60_000);

  afterAll(async () => {
    for (const name of hosts) {
      processes.get(name)?.kill('SIGCONT');
      await end(name, 'SIGKILL');
    }
    for (const name of [...hosts, client]) await execa('ip', ['netns', 'delete', name], { reject: false });
    await execa('ip', ['link', 'delete', bridge], { reject: false });
    await cluster?.stop();
  });

  it('is held by one host, goes to the other when that one hangs, and neighbours follow', async () => {
    start('kvip1');
    await eventually(async () => expect(await holders()).toEqual(['kvip1']), 15_000);
    start('kvip2');
    // One packet makes the client know its neighbour.
    await inside(client, 'bash', '-c', `echo > /dev/udp/${virtual}/9`);
    await eventually(async () => expect(await neighbour()).toBe(await hardware('kvip1')), 5_000);
    processes.get('kvip1')?.kill('SIGSTOP');
    // Both never have it.
    await eventually(async () => {
      const now = await holders();
      expect(now.length).toBeLessThan(2);
      expect(now).toEqual(['kvip2']);
    }, 20_000);
    await eventually(async () => expect(await neighbour()).toBe(await hardware('kvip2')), 5_000);
    processes.get('kvip1')?.kill('SIGCONT');
    // Who wakes up does not take it back, not for a moment.
    for (const end = Date.now() + 2_500; Date.now() < end; ) expect(await holders()).toEqual(['kvip2']);
  }, 60_000);

  it('is given back at once by who is told to stop', async () => {
    await end('kvip2', 'SIGTERM');
    expect(await holders()).not.toContain('kvip2');
    await eventually(async () => expect(await holders()).toEqual(['kvip1']), 6_000);
  }, 20_000);

  it('is gone from a host whose process was killed, and from one that finds it on starting', async () => {
    await end('kvip1', 'SIGKILL');
    await eventually(async () => expect(await holders()).toEqual([]), 8_000);
    await ip('-n', 'kvip1', 'address', 'add', `${virtual}/32`, 'dev', 'eth0');
    const main = join(root, 'src/components/virtual-ip/main.ts');
    await inside('kvip1', join(root, 'node_modules/.bin/node'), main, `--address=${virtual}`, '--release');
    expect(await holders()).toEqual([]);
  }, 20_000);

  it('is taken by who has got another kubeconfig while it waited, as with new authorities', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kinit-vip-'));
    try {
      const kubeconfig = join(folder, 'kubeconfig');
      await copyFile(await cluster.issue('nobody', []), kubeconfig);
      start('kvip2', kubeconfig);
      const refused = new Promise<void>((resolve) => {
        processes.get('kvip2')?.stderr?.on('data', (text: Buffer) => /forbidden/.test(text.toString()) && resolve());
      });
      await refused;
      expect(await holders()).toEqual([]);
      await copyFile(cluster.kubeconfig('admin'), kubeconfig);
      await eventually(async () => expect(await holders()).toEqual(['kvip2']), 15_000);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 40_000);
});
