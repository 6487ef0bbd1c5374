/** etcd of the cluster: told about, backed up, and given to a host that has nothing but the backup. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../parts/eventually.ts';
import { inventory, kinit, must, onHost } from '../harness.ts';

const namespace = 'backup';

export function backup(): void {
  describe('a lost control plane', () => {
    let folder: string;
    let file: string;
    let podBefore: string;
    const pods = () =>
      must(
        '-n',
        namespace,
        'get',
        'pods',
        '-o',
        'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
      );

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'kinit-backup-'));
      await must('create', 'namespace', namespace);
      await must('-n', namespace, 'create', 'deployment', 'stays', '--image=kinit.local/pause:3.10.1');
      await must('-n', namespace, 'rollout', 'status', 'deployment/stays', '--timeout=60s');
      podBefore = await pods();
    });
    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
      await onHost('cp1', 'rm -rf /var/backups/kinit');
      await must('delete', 'namespace', namespace, '--ignore-not-found');
    });

    it('has said how its etcd is, from the workstation', async () => {
      const { code, stdout } = await kinit('etcd', 'status', '--inventory', inventory, '--output', 'json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        members: [{ name: 'cp1', healthy: true, leader: true }],
        quorum: { has: true },
      });
    });

    it('is backed up to the workstation, for its owner only', async () => {
      const saved = await kinit('etcd', 'snapshot', 'save', '--with-pki', '--inventory', inventory, '--out', folder);
      expect(saved.stderr).toBe('');
      const names = (await readdir(folder)).sort();
      expect(names.map((name) => name.replace(/^snapshot-cp1-\d{8}T\d{6}Z/, ''))).toEqual([
        '.db',
        '.db.json',
        '.db.pki',
      ]);
      for (const name of names) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
      file = join(folder, names[0]!);
      await must('-n', namespace, 'create', 'configmap', 'written-later');
    });

    it('is there again on a host without anything, with its objects and the pods that ran on', async () => {
      await onHost('cp1', 'kinit reset --force');
      const restored = await kinit('etcd', 'restore', file, '--force', '--inventory', inventory, '--output', 'plain');
      expect(restored.stdout + restored.stderr).toMatch(/\[restore\/data\] .*: changed/);
      expect(restored.code).toBe(0);
      expect(await pods()).toBe(podBefore);
      expect(await must('-n', namespace, 'get', 'configmaps', '-o', 'name')).not.toContain('written-later');
    }, 300_000);

    it('is obeyed by the kubelets of the workers, which never stopped', async () => {
      await must('-n', namespace, 'scale', 'deployment/stays', '--replicas=2');
      await must('-n', namespace, 'rollout', 'status', 'deployment/stays', '--timeout=90s');
      await eventually(async () => {
        expect(await must('get', 'nodes', '--no-headers')).toMatch(/^(\S+ +Ready .*\n){3}$/);
      }, 60_000);
    }, 180_000);

    it('gets the data of a snapshot in place, and keeps what was there', async () => {
      const { code, stdout } = await kinit(
        'etcd',
        'restore',
        file,
        '--force',
        '--inventory',
        inventory,
        '--output',
        'plain',
      );
      expect(stdout).toMatch(/the data from before lies in \/var\/lib\/etcd\/member.before-restore-/);
      expect(code).toBe(0);
      expect(await must('-n', namespace, 'get', 'deployment', 'stays', '-o', 'jsonpath={.spec.replicas}')).toBe('1');
      await onHost('cp1', 'rm -rf /var/lib/etcd/member.before-restore-*');
    }, 180_000);
  });
}
