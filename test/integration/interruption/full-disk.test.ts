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
const roomy = 'size=2g';

describe('a full disk', () => {
  let lab: Lab;
  let host: LabHost;
  let before: string[];
  const mounted: string[] = [];

  beforeAll(async () => {
    expect(existsSync(bundle), `${bundle}: npm run bundle`).toBe(true);
    lab = await createLab({ name: 'full-disk', hosts: [{ name: 'full', flavour: 'debian' }] });
    host = lab.host('full');
    await host.copy(bundle, copy);
    before = await hostState(host);
  });
  afterAll(() => lab?.down());

  /** A file system of its own that has room for this only. */
  async function small(path: string, size: string): Promise<void> {
    await host.must(`mkdir -p ${path} && mount -t tmpfs -o size=${size},mode=755 small ${path}`);
    mounted.push(path);
  }
  const makeRoom = (path: string) => host.must(`mount -o remount,${roomy} ${path}`);
  const leftovers = () =>
    host.must(
      `find / ${mounted.join(' ')} -xdev '(' -name '*.kinit-draft' -o -name '.kinit-*' -o -name '*.unpacking' -o -name '*.draft' ')' -not -path '/proc/*'`,
    );

  /** kinit init fails for want of room; answers what it says. */
  async function fails(): Promise<string> {
    const { code, stdout, stderr } = await host.exec(`${kinit} init --output plain`, { timeoutMs: 400_000 });
    const told = `${stdout}\n${stderr}`;
    console.log(code, told);
    expect(code, told).toBe(8);
    expect(await leftovers()).toBe('');
    return told;
  }

  it('of /opt: the bundle is not unpacked, and is when there is room', async () => {
    await small('/opt/kinit', '120m');
    const { code, stderr } = await host.exec(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
    console.log(code, stderr);
    expect(code).toBe(1);
    expect(await host.must('ls -A /opt/kinit')).toBe('');
    await makeRoom('/opt/kinit');
    await host.must(`sh ${copy} --quiet`, { timeoutMs: 120_000 });
  });

  it.each([
    ['the journal', '/var/lib/kinit', '4k'],
    ['certificates', '/etc/kubernetes', '40k'],
    ['images', '/var/lib/containerd', '60m'],
    ['etcd', '/var/lib/etcd', '10m'],
  ])(
    'for %s is told, and the next run goes on',
    async (_, path, size) => {
      await small(path, size);
      expect(await fails()).toContain(path);
      await makeRoom(path);
    },
    400_000,
  );

  it('leaves no trace in the end', async () => {
    expect(await finish(host, 'init')).toMatchObject({ ok: true });
    expect(await finish(host, 'init')).toMatchObject({ ok: true, changed: false });
    await finish(host, 'reset --force');
    await host.must(`umount ${mounted.join(' ')}; rmdir /etc/kubernetes /opt/kinit /var/lib/kinit 2>/dev/null || true`);
    expect(difference(before, await hostState(host))).toEqual([]);
  }, 200_000);
});
