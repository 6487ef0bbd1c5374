/** The services that lead a node to the API servers, from one bundle to the next and back. */
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBalancer, knownBalancer } from '../../../src/installer/endpoint/balancer.ts';
import { ensureVirtualIp, knownVirtualIp } from '../../../src/installer/endpoint/virtual-ip.ts';
import { type Changes, createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { restartEndpoint, upgradeBalancer, upgradeVirtualIp } from '../../../src/installer/upgrade/endpoint.ts';
import { scratchHost, scratchRoot } from '../installer/scratch.ts';

const [earlier, later] = ['/opt/kinit/v0.1.0', '/opt/kinit/v0.2.0'];
const [balancer, virtualIp] = ['kinit-balancer.service', 'kinit-virtual-ip.service'];
const facts = { canLowerOomScore: true };
const signal = AbortSignal.timeout(20_000);

let listener: Server;
let port: number;

beforeAll(async () => {
  listener = createServer((socket) => socket.destroy());
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  ({ port } = listener.address() as AddressInfo);
});
afterAll(() => void listener.close());

/** A host whose services run from a bundle; `done` has what systemctl was told. */
async function runningHost(folder: string) {
  const root = scratchRoot();
  const exe = join(root, 'proc/77/exe');
  const runFrom = (bundle: string) => {
    rmSync(exe, { force: true });
    symlinkSync(`${bundle}/bin/node`, exe);
  };
  mkdirSync(join(root, 'proc/77'), { recursive: true });
  runFrom(folder);
  const done: string[] = [];
  const host = scratchHost(root, (_command, [action = '', ...rest]) => {
    if (action === 'show') return { stdout: 'MainPID=77\nUnitFileState=enabled\nActiveState=active\n' };
    done.push([action, ...rest].join(' '));
    return {};
  });
  const changes = createChanges(host, await openJournal(host));
  const unit = (name: string) => readFileSync(join(root, 'etc/systemd/system', name), 'utf8');
  return { host, changes, done, runFrom, unit };
}

async function withUnits(changes: Changes): Promise<void> {
  const servers = ['10.0.0.1:6443', '10.0.0.2:6443'];
  const settings = { listen: `127.0.0.1:${port}`, servers, nodeName: 'cp1', facts, certificateAuthority: '/ca.crt' };
  await ensureBalancer(changes, settings, signal);
  const shared = { address: '10.0.0.100', interface: 'eth0', server: '10.0.0.1:6443', nodeName: 'cp1', facts };
  await ensureVirtualIp(changes, shared);
}

describe("an upgrade of a node's way to the API servers", () => {
  it('starts both services anew from the new bundle, with the units as they are', async () => {
    const { changes, done, unit } = await runningHost(earlier);
    await withUnits(changes);
    const before = [unit(balancer), unit(virtualIp)];
    done.length = 0;
    const upgrade = { changes, facts, nodeName: 'cp1', folder: later, signal };
    expect([await upgradeBalancer(upgrade), await upgradeVirtualIp(upgrade)]).toEqual([true, true]);
    expect(done).toEqual([`restart ${balancer}`, `restart ${virtualIp}`]);
    expect([unit(balancer), unit(virtualIp)]).toEqual(before);
  });

  it('changes nothing when they run from it, and takes them back to the earlier one', async () => {
    const { host, changes, done } = await runningHost(later);
    await withUnits(changes);
    done.length = 0;
    const upgrade = { changes, facts, nodeName: 'cp1', folder: later, signal };
    expect([await upgradeBalancer(upgrade), await upgradeVirtualIp(upgrade)]).toEqual([false, false]);
    expect(done).toEqual([]);
    expect(await restartEndpoint(host, earlier, [])).toBe(true);
    expect(done).toEqual([`restart ${balancer}`, `restart ${virtualIp}`]);
  });

  it('writes a unit of another version anew, with what the earlier one says', async () => {
    const { host, changes, runFrom, unit } = await runningHost(earlier);
    await withUnits(changes);
    const made = unit(balancer);
    await host.writeFile(`/etc/systemd/system/${balancer}`, made.replace(/^Description=.*$/m, 'Description=Before'));
    runFrom(later);
    expect(await upgradeBalancer({ changes, facts, nodeName: 'cp1', folder: later, signal })).toBe(true);
    expect(unit(balancer)).toBe(made);
  });

  it('does nothing on a node that has neither', async () => {
    const { host, changes, done } = await runningHost(earlier);
    const upgrade = { changes, facts, nodeName: 'w1', folder: later, signal };
    expect([await knownBalancer(host), await knownVirtualIp(host)]).toEqual([undefined, undefined]);
    expect([await upgradeBalancer(upgrade), await upgradeVirtualIp(upgrade)]).toEqual([false, false]);
    expect(await restartEndpoint(host, earlier, [])).toBe(false);
    expect(done).toEqual([]);
  });
});
