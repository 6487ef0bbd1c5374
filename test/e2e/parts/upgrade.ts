/** The whole cluster to the next version, while what has two replicas and a budget goes on serving. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../../images/build.ts';
import { inventoryVariables } from '../../parts/cluster-files.ts';
import { loadTestImages } from '../../parts/load-images.ts';
import { buildNextBundle, type NextBundle } from '../../parts/next-bundle.ts';
import { askServing, servingManifest, servingNamespace, stopAsking } from '../../parts/serving.ts';
import { apply, hosts, inventory, lab, must, network, onHost, root, run } from '../harness.ts';

const kubelets = async () =>
  (
    await must(
      'get',
      'nodes',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion}{"\\n"}{end}',
    )
  )
    .trim()
    .split('\n');
const images = () =>
  must('-n', 'kube-system', 'get', 'pods', '-o', 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\\n"}{end}');

export function upgrade(): void {
  describe('the next version', () => {
    const folder = join(root, '.cache/next');
    const founder = () => hosts()[0]!;
    let next: NextBundle;
    const kinit = (...args: string[]) =>
      run(join(root, 'node_modules/.bin/node'), [next.program, ...args], {
        timeoutMs: 600_000,
        env: { ...process.env, ...inventoryVariables(lab, network) },
      });
    const upgradeAll = (...more: string[]) =>
      kinit(
        'upgrade',
        'apply',
        next.kubernetes,
        '-i',
        inventory,
        '--bundle',
        next.file,
        '--yes',
        '--output',
        'plain',
        ...more,
      );

    beforeAll(async () => {
      next = await buildNextBundle(folder);
      // Hosts that were reset and joined again have lost them.
      await loadTestImages(hosts());
      await apply(servingManifest(busyboxImage));
      await must('-n', servingNamespace, 'rollout', 'status', 'deployment', 'web', '--timeout=60s');
    });
    afterAll(async () => {
      await stopAsking(founder());
      await onHost('cp1', 'rm -rf /var/backups/kinit');
      await must('delete', 'namespace', servingNamespace, '--ignore-not-found');
      await rm(folder, { recursive: true, force: true });
    });

    it('reaches every host, and two replicas with a budget serve all the time', async () => {
      await askServing(founder());
      const { code, stdout, stderr } = await upgradeAll('--delete-emptydir-data', '--drain-force');
      const { answered, failed } = await stopAsking(founder());
      expect([code, stderr]).toEqual([0, '']);
      expect(await kubelets()).toEqual(['cp1', 'w1', 'w2'].map((name) => `${name} ${next.kubernetes}`));
      expect(await images()).toContain(`kinit.local/kube-apiserver:${next.kubernetes}`);
      expect(await images()).not.toMatch(
        new RegExp(`kinit\\.local/kube-(?!.*${next.kubernetes.replaceAll('.', '\\.')})`),
      );
      expect(await must('get', 'nodes')).not.toContain('SchedulingDisabled');
      expect(stdout.indexOf('[w1] [drain]')).toBeGreaterThan(stdout.indexOf('[cp1] [post-upgrade]'));
      expect(failed).toEqual([]);
      expect(answered).toBeGreaterThan(50);
    }, 600_000);

    it('has been brought by one link, after a snapshot of etcd', async () => {
      for (const name of ['cp1', 'w1', 'w2'])
        expect(await onHost(name, 'readlink /opt/kinit/current')).toBe(`/opt/kinit/${next.kinit}\n`);
      expect(await onHost('cp1', 'ls /var/backups/kinit/etcd')).toMatch(/^before-upgrade-.*\.db$/m);
    });

    it('has nothing to do a second time, drains nobody and says so', async () => {
      const { code, stdout } = await upgradeAll();
      expect(code).toBe(0);
      expect(stdout).not.toContain('[drain]');
      expect(stdout).toContain('nothing had to be changed');
    }, 300_000);
  });
}
