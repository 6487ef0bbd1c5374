/** kinit on a host whose file systems are full: it says which, leaves nothing half written, and goes on when there is room. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { finish, kinit } from './broken-run.ts';

const bundle = join(import.meta.dirname, `../../../dist/kinit-${kinitVersion}-linux-amd64.run`);
const copy = '/root/kinit.run';

describe('a full disk', () => {
  let lab: Lab;
  let host: LabHost;
  let before: string[];

  beforeAll(async () => {
    expect(existsSync(bundle), `${bundle}: npm run bundle`).toBe(true);
    lab = await createLab({ name: 'full-disk', hosts: [{ name: 'full', flavour: 'debian' }] });
    host = lab.host('full');
    await host.copy(bundle, copy);
    before = await hostState(host);
  });
  afterAll(() => lab?.down());

  /** File systems of their own, each with room for a part of what is written there. */
  const small = new Map([
    ['/opt/kinit', '120m'],
    ['/var/lib/kinit', '4k'],
    ['/etc/kubernetes', '40k'],
    ['/var/lib/containerd', '60m'],
    ['/var/lib/etcd', '10m'],
  ]);
  const paths = [...small.keys()];
  const makeRoom = (path: string) => host.must(`mount -o remount,size=2g ${path}`);
  const leftovers = () =>
    host.must(
      `find / ${paths.join(' ')} -xdev '(' -name '*.kinit-draft' -o -name '.kinit-*' -o -name '*.unpacking.*' -o -name '*.draft' ')' -not -path '/proc/*'`,
    );

  it('of /opt: the bundle is not unpacked, and is when there is room', async () => {
    for (const [path, size] of small)
      await host.must(`mkdir -p ${path} && mount -t tmpfs -o size=${size},mode=755 small ${path}`);
    const { code, stderr } = await host.exec(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot unpack to .* \(disk full\? 120 MiB were free there, up to \d+ MiB are needed\)/);
    expect(await host.must('ls -A /opt/kinit')).toBe('');
    await makeRoom('/opt/kinit');
    await host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
  });

  it('of one file system after the other: each is told, and the next run goes on', async () => {
    const full = new Set(paths.slice(1));
    while (full.size) {
      const { code, stdout, stderr } = await host.exec(`${kinit} init --output plain`, { timeoutMs: 300_000 });
      const told = `${stdout}\n${stderr}`;
      expect(code, told).toBe(8);
      const path = [...full].find((one) => told.includes(`: no space left for ${one}`));
      expect(path, told).toBeDefined();
      expect(told).toMatch(/its file system has \d+ [KM]iB of \d+ [KM]iB free/);
      expect(await leftovers()).toBe('');
      await makeRoom(path!);
      full.delete(path!);
    }
    expect(await finish(host, 'init')).toMatchObject({ ok: true, changed: true });
    expect(await finish(host, 'init')).toMatchObject({ ok: true, changed: false });
  }, 600_000);

  it('of etcd is what kinit doctor tells', async () => {
    await host.must('dd if=/dev/zero of=/var/lib/etcd/ballast bs=1M status=none || true');
    const { code, stdout } = await host.exec(`${kinit} doctor`);
    expect(code, stdout).not.toBe(0);
    expect(stdout).toMatch(/\/var\/lib\/etcd is 100 % full/);
  });

  it('does not keep a reset from leaving the bare host', async () => {
    await finish(host, 'reset --force');
    await host.must(`umount ${paths.join(' ')}; rmdir /etc/kubernetes /opt/kinit /var/lib/kinit 2>/dev/null || true`);
    expect(difference(before, await hostState(host))).toEqual([]);
  }, 200_000);
});
