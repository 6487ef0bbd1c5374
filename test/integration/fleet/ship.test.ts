/** The bundle on its way to a real host: resumed, in parts, from another host, and refused when it is not what it should be. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { formatList, listPath } from '../../../src/installer/bundle/parts.ts';
import { bundlePrefix, partsFolder, readRunLayout, writeRunFile } from '../../../src/installer/bundle/run-file.ts';
import { type PartsServer, serveParts } from '../../../src/installer/bundle/serve.ts';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import { Fleet } from '../../../src/installer/fleet/fleet.ts';
import { fetchParts, type Peer } from '../../../src/installer/fleet/peer.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import type { InventoryHost } from '../../../src/installer/inventory/types.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-ship-'));
const bundlePath = join(folder, 'kinit.run');
const changedPath = join(folder, 'changed.run');
const password = 'correct horse';
const mib = 1 << 20;
const large = randomBytes(16 * mib);
const signal = new AbortController().signal;
let lab: Lab;
let host: LabHost;

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');

/** A part as the builder writes it, but not compressed: see `writeDecoder`. */
async function writePart(
  name: string,
  files: Record<string, Buffer | string>,
): Promise<{ name: string; path: string }> {
  const source = join(folder, `part-${name}`);
  rmSync(source, { recursive: true, force: true });
  const list = formatList(Object.entries(files).map(([path, content]) => ({ path, sha256: sha256(content) })));
  for (const [path, content] of Object.entries({ [listPath(name)]: list, ...files })) {
    mkdirSync(join(source, path, '..'), { recursive: true });
    writeFileSync(join(source, path), content, { mode: 0o755 });
  }
  const path = join(folder, `${name}-${sha256(list).slice(0, 8)}.tar`);
  await execa('tar', ['--mtime=@0', '--sort=name', '-cf', path, '-C', source, '.parts', ...Object.keys(files)]);
  return { name, path };
}

/** Takes the place of zstd: what is not compressed needs no decoder. */
async function writeDecoder(): Promise<string> {
  const source = join(folder, 'decoder');
  mkdirSync(source);
  writeFileSync(join(source, 'loader'), '#!/bin/sh\nshift 2\nexec "$@"\n', { mode: 0o755 });
  writeFileSync(join(source, 'zstd'), '#!/bin/sh\nexec cat\n', { mode: 0o755 });
  const path = join(folder, 'decoder.tar.gz');
  await execa('tar', ['-czf', path, '-C', source, 'loader', 'zstd']);
  return path;
}

beforeAll(async () => {
  const users = [{ name: 'ada', sudo: 'password' as const, password }];
  lab = await createLab({ name: 'ship-test', hosts: [{ name: 'a', flavour: 'debian', users }] });
  host = lab.host('a');
  const decoder = await writeDecoder();
  const node = await writePart('node', { 'bin/node': large });
  const kinit = await writePart('kinit', { 'bin/kinit': '#!/bin/sh\necho kinit\n', 'lib/old': 'old' });
  const changed = await writePart('kinit', { 'bin/kinit': '#!/bin/sh\necho changed\n' });
  await writeRunFile(
    bundlePath,
    ownArchitecture(),
    decoder,
    node,
    kinit,
    await writePart('manifest', { 'manifest.json': '{}' }),
  );
  await writeRunFile(
    changedPath,
    ownArchitecture(),
    decoder,
    node,
    changed,
    await writePart('manifest', { 'manifest.json': '{"a":1}' }),
  );
});

beforeEach(() => host.must('rm -rf /opt/kinit'));

afterAll(async () => {
  await lab?.down();
  rmSync(folder, { recursive: true, force: true });
});

function hosts(extra: object = {}): InventoryHost[] {
  const { sshKeyPath: identityFile, knownHosts } = lab;
  const first = { name: 'a', address: host.ip, roles: ['control-plane'], user: 'root', identityFile, knownHosts };
  const document = { apiVersion: 'kinit.local/v1alpha1', kind: 'Inventory', hosts: [{ ...first, ...extra }] };
  return parseInventory(JSON.stringify(document), join(folder, 'inventory.yaml')).hosts;
}

async function openFleet(path = bundlePath, extra: object = {}) {
  const events: FleetEvent[] = [];
  let watch: (event: FleetEvent) => void = () => undefined;
  const fleet = await Fleet.open(hosts(extra), {
    bundlePath: path,
    signal,
    events: (event) => {
      events.push(event);
      watch(event);
    },
    env: { PW: password },
  });
  const details = () =>
    events.flatMap((event) => (event.type === 'step-ended' && event.step === 'ship' ? [event.detail ?? ''] : []));
  const onEvent = (action: (event: FleetEvent) => void) => {
    watch = action;
  };
  return { fleet, member: fleet.member('a'), events, details, onEvent };
}

const unpacked = () =>
  host.must(`cd ${bundlePrefix} && ./bin/kinit && sha256sum < bin/node && ls lib 2>/dev/null; true`);

describe('the bundle', () => {
  it.each([
    ['root', {}],
    [
      'sudo with a password',
      { user: 'ada', identityFile: undefined, sudo: { passwordFromEnv: 'PW' }, passwordFromEnv: 'PW' },
    ],
  ])('goes on where the connection broke (%s)', async (_how, extra) => {
    const { fleet, member, events, details, onEvent } = await openFleet(bundlePath, extra);
    let cut = 0;
    onEvent((event) => {
      if (event.type !== 'step-progress' || cut || event.done < 4 * mib) return;
      cut = event.done;
      // What goes over the connection at the moment breaks off.
      void member.connection.renew();
    });
    await fleet.supply(member);
    expect(cut).toBeGreaterThan(0);
    expect(await unpacked()).toBe(`kinit\n${sha256(large)}  -\nold\n`);
    const progress = events.filter((event) => event.type === 'step-progress');
    expect(progress.at(-1)).toMatchObject({ done: progress[0]?.total, bytesPerSecond: expect.any(Number) as number });
    expect(details()[0]).toMatch(/^16 MiB, \d+ (MiB|KiB)\/s$/);
    // More than once it would have been 32 MiB.
    expect(fleet.traffic.get('a')?.sent).toBeLessThan(large.length * 1.9);
    // A control plane keeps the parts for other hosts; nothing but root may read them.
    expect(await host.must(`stat -c %a /opt/kinit ${partsFolder}; ls ${partsFolder} | wc -l`)).toBe('755\n700\n4\n');
    await fleet.close();
  });

  it('is told from a changed one by its parts: only what is new travels', async () => {
    const first = await openFleet();
    await first.fleet.supply(first.member);
    await first.fleet.close();
    const same = await openFleet();
    await same.fleet.supply(same.member);
    expect(same.details()).toEqual([]);
    await same.fleet.close();
    const { fleet, member, details } = await openFleet(changedPath);
    await fleet.supply(member);
    expect(details()[0]).toMatch(/^2\d KiB, \d+ [KM]iB\/s, the rest of 16 MiB was there$/);
    expect(fleet.traffic.get('a')?.sent).toBeLessThan(64 << 10);
    expect(await unpacked()).toBe(`changed\n${sha256(large)}  -\n`);
    await fleet.close();
  });

  it('is sent again as far as what the host has of it was damaged', async () => {
    const first = await openFleet();
    await first.fleet.supply(first.member);
    await first.fleet.close();
    await host.must(`printf x | dd of=${bundlePrefix}/bin/node bs=1 seek=1000 conv=notrunc 2>/dev/null`);
    const { fleet, member, events } = await openFleet(changedPath);
    await fleet.supply(member);
    expect(await unpacked()).toBe(`changed\n${sha256(large)}  -\n`);
    expect(events.find((event) => event.type === 'warning')).toMatchObject({
      message: `kinit bundle: a part of the bundle in ${bundlePrefix} is damaged; copy it again; it is copied again from here`,
    });
    await fleet.close();
  });

  it('is refused where a part has been changed on its way', async () => {
    const { parts } = await readRunLayout(bundlePath);
    const [node] = parts;
    // As a transfer that broke off leaves it, but it is not ours.
    await host.must(`mkdir -p ${partsFolder} && head -c ${mib} /dev/urandom > ${partsFolder}/${node?.sha256}`);
    const { fleet, member, events } = await openFleet();
    await fleet.supply(member);
    const warning = events.find((event) => event.type === 'warning');
    expect(warning?.message).toMatch(new RegExp(`is damaged: a part's sha256 is \\w{64}, expected ${node?.sha256}`));
    expect(await unpacked()).toContain(sha256(large));
    await fleet.close();
  });
});

describe('a part from another host', () => {
  let server: PartsServer;
  let peer: Peer;
  const served = join(folder, 'served');

  beforeAll(async () => {
    const { decoder, parts } = await readRunLayout(bundlePath);
    const file = readFileSync(bundlePath);
    mkdirSync(served);
    for (const { sha256: name, start, size } of [decoder, ...parts])
      writeFileSync(join(served, name), file.subarray(start, start + size));
    server = await serveParts(served);
    const gateway = (await host.must("ip route show default | sed 's/.* via \\([^ ]*\\).*/\\1/'")).trim();
    peer = { ...server, host: 'cp1', address: gateway, close: () => undefined };
  });
  afterAll(() => server?.close());

  async function fetchAll(from: Peer, kept = new Map<string, number>()) {
    const { fleet, member } = await openFleet();
    const { parts } = await readRunLayout(bundlePath);
    let total = 0;
    const arrived = (bytes: number) => {
      total += bytes;
    };
    try {
      await fetchParts(member.connection, from, parts, kept, { signal, arrived });
    } finally {
      await fleet.close();
    }
    const [node] = parts;
    return { total, sum: await host.must(`sha256sum < ${partsFolder}/${node?.sha256}`), node: node! };
  }

  it('comes by curl, whole or what is missing of it', async () => {
    const whole = await fetchAll(peer);
    expect(whole.total).toBeGreaterThan(large.length);
    expect(whole.sum).toBe(`${whole.node.sha256}  -\n`);
    await host.must(
      `cd ${partsFolder} && truncate -s ${4 * mib} ${whole.node.sha256} && ls | grep -v ${whole.node.sha256} | xargs rm`,
    );
    const rest = await fetchAll(peer, new Map([[whole.node.sha256, 4 * mib]]));
    expect(rest.total).toBe(whole.total - 4 * mib);
    expect(rest.sum).toBe(`${whole.node.sha256}  -\n`);
  });

  it.each<[string, () => Peer, RegExp]>([
    [
      'another key than the one that is known',
      () => ({ ...peer, pin: Buffer.alloc(32).toString('base64') }),
      /public key does not match/,
    ],
    ['another token', () => ({ ...peer, token: '0'.repeat(64) }), /401/],
    ['nothing at all', () => ({ ...peer, port: 9 }), /(refused|connect to|Could not connect)/i],
  ])('is not taken from a host with %s', async (_what, other, seen) => {
    await expect(fetchAll(other())).rejects.toMatchObject({
      message: 'cannot fetch the bundle from cp1',
      details: { seen: expect.stringMatching(seen) as string },
    });
    expect(await host.must(`cat ${partsFolder}/* 2>/dev/null | wc -c`)).toBe('0\n');
  });
});
