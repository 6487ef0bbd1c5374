import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MergeOptions, mergeKubeconfig } from '../../../src/installer/access/merge-kubeconfig.ts';
import { mergeIntoFile, writeKubeconfig } from '../../../src/installer/access/write-kubeconfig.ts';
import { formatKubeconfig, type Kubeconfig } from '../../../src/installer/kubeconfig/kubeconfig.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-merge-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As a cluster's admin.conf. */
const admin = (cluster: string, authority: string): Kubeconfig => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [
    { name: cluster, cluster: { server: `https://${authority}:6443`, 'certificate-authority-data': authority } },
  ],
  contexts: [{ name: `kubernetes-admin@${cluster}`, context: { cluster, user: 'kubernetes-admin' } }],
  'current-context': `kubernetes-admin@${cluster}`,
  users: [{ name: 'kubernetes-admin', user: { 'client-key-data': authority } }],
});
const options = (name: string, more: Partial<MergeOptions> = {}): MergeOptions => ({
  name,
  force: false,
  use: true,
  ...more,
});
const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

describe('a cluster that is merged into a kubeconfig', () => {
  it('keeps what is there, and has names of its own though every cluster calls its administrator the same', () => {
    const one = mergeKubeconfig(undefined, admin('kubernetes', 'a'), options('one'));
    const both = mergeKubeconfig(one, admin('kubernetes', 'b'), options('two'));
    expect(names(both.clusters)).toEqual(['one', 'two']);
    expect(names(both.users)).toEqual(['one-admin', 'two-admin']);
    expect(both.contexts).toContainEqual({ name: 'two', context: { cluster: 'two', user: 'two-admin' } });
    expect(both['current-context']).toBe('two');
  });

  it('replaces its own entries, and leaves the namespace that somebody has chosen', () => {
    const before = mergeKubeconfig(undefined, admin('kubernetes', 'a'), options('one'));
    before.contexts[0]!.context.namespace = 'mine';
    const again = admin('kubernetes', 'a');
    again.users[0]!.user = { token: 'new' };
    const after = mergeKubeconfig(before, again, options('one'));
    expect(after.users).toEqual([{ name: 'one-admin', user: { token: 'new' } }]);
    expect(after.contexts[0]?.context.namespace).toBe('mine');
  });

  it('does not take the place of another cluster unless it is told to', () => {
    const before = mergeKubeconfig(undefined, admin('kubernetes', 'a'), options('one'));
    const merge = (more: Partial<MergeOptions>) =>
      mergeKubeconfig(before, admin('kubernetes', 'b'), options('one', more));
    expect(() => merge({})).toThrow('the kubeconfig has another cluster "one" (https://a:6443)');
    expect(merge({ force: true }).clusters).toHaveLength(1);
    expect(merge({ force: true, use: false })['current-context']).toBe('one');
  });

  it('leaves the current context when that is asked', () => {
    const before = mergeKubeconfig(undefined, admin('kubernetes', 'a'), options('one'));
    const after = mergeKubeconfig(before, admin('kubernetes', 'b'), options('two', { use: false }));
    expect(after['current-context']).toBe('one');
  });
});

describe('the file', () => {
  it('is written whole, closed to others, with a copy of what was there, and through a link', async () => {
    const real = join(folder, 'real');
    const link = join(folder, 'link');
    await writeFile(real, formatKubeconfig(admin('other', 'o')), { mode: 0o644 });
    await symlink(real, link);
    const written = await mergeIntoFile(link, admin('kubernetes', 'a'), options('one'));
    expect(written).toEqual({ path: real, changed: true, backup: `${real}.kinit-backup` });
    expect(await readFile(`${real}.kinit-backup`, 'utf8')).toBe(formatKubeconfig(admin('other', 'o')));
    expect((await stat(real)).mode & 0o777).toBe(0o600);
    expect(await mergeIntoFile(link, admin('kubernetes', 'a'), options('one'))).toEqual({ path: real, changed: false });
    expect((await readdir(folder)).sort()).toEqual(['link', 'real', 'real.kinit-backup']);
  });

  it('is not touched while another program holds its lock', async () => {
    const path = join(folder, 'held');
    await writeFile(`${path}.lock`, '');
    await expect(mergeIntoFile(path, admin('kubernetes', 'a'), options('one'))).rejects.toMatchObject({
      code: 'Locked',
      details: { advice: expect.stringContaining(`${path}.lock`) as string },
    });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of its own is closed to others again', async () => {
    const path = join(folder, 'own');
    expect(await writeKubeconfig(path, admin('kubernetes', 'a'))).toEqual({ path, changed: true });
    expect(await writeKubeconfig(path, admin('kubernetes', 'a'))).toEqual({ path, changed: false });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});
