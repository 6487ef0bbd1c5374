/** The add-on metrics-server, as a user turns it on and off: stock kubectl top. */
import { describe, expect, it } from 'vitest';
import { eventually, kinit, kubeconfig, kubectl, must } from '../harness.ts';

const addons = (...args: string[]) => kinit('addons', ...args, '--kubeconfig', kubeconfig);

export function addOns(): void {
  describe('the add-on metrics-server', () => {
    it('is off at first, and an unknown one is named as such', async () => {
      const { stdout } = await addons('list');
      expect(stdout).toMatch(/^metrics-server +off/m);
      const unknown = await addons('enable', 'nonsense');
      expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('there is no add-on "nonsense"')]);
    });

    it('gives kubectl top the usage of nodes and pods', async () => {
      const enabled = await addons('enable', 'metrics-server');
      expect([enabled.code, enabled.stdout, enabled.stderr]).toEqual([0, 'metrics-server is on\n', '']);
      expect((await addons('enable', 'metrics-server')).stdout).toBe('metrics-server was on already\n');
      await must('-n', 'kube-system', 'rollout', 'status', 'deployment', 'metrics-server', '--timeout=90s');
      await eventually(async () => {
        const nodes = await must('top', 'nodes');
        for (const name of ['cp1', 'w1', 'w2'])
          expect(nodes).toMatch(new RegExp(`^${name} +\\d+m +\\d+% +\\d+Mi`, 'm'));
      }, 60_000);
      expect(await must('top', 'pods', '-n', 'kube-system')).toMatch(/^etcd-cp1 +\d+m +\d+Mi/m);
      expect(await must('get', 'apiservice', 'v1beta1.metrics.k8s.io')).toMatch(/kube-system\/metrics-server +True/);
    });

    it('goes with all its objects', async () => {
      expect((await addons('disable', 'metrics-server')).stdout).toBe('metrics-server is off\n');
      await eventually(async () => {
        expect((await kubectl('top', 'nodes')).stderr).toContain('Metrics API not available');
        const left = await must('get', 'all,sa,clusterroles,clusterrolebindings,apiservices', '-A', '-o', 'name');
        expect(left).not.toContain('metrics-server');
      }, 60_000);
    });
  });
}
