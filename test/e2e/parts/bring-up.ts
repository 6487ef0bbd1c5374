/** `npm run up` from nothing, again without a change, `kinit reset` on every host, and up once more. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createClusterLab } from '../../parts/cluster-files.ts';
import { eventually } from '../../parts/eventually.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { loadTestImages } from '../../parts/load-images.ts';
import { down, hosts, inventory, kinit, kubeconfig, lab, must, network, onHost, up } from '../harness.ts';

/** What the hosts were like before kinit. */
const untouched = new Map<string, string[]>();

async function expectReadyCluster(): Promise<void> {
  const nodes = await must('get', 'nodes', '--no-headers');
  expect(
    nodes
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/).slice(0, 2).join(' '))
      .sort(),
  ).toEqual(['cp1 Ready', 'w1 Ready', 'w2 Ready']);
  await must('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=120s');
}

export function bringUp(): void {
  describe('npm run up', () => {
    let first = '';
    beforeAll(async () => {
      await down();
      const { hosts: fresh } = await createClusterLab(lab, network, process.pid);
      for (const host of fresh) untouched.set(host.name, await hostState(host));
      const { code, stdout, stderr } = await up(1_200_000);
      first = stdout;
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      await loadTestImages(hosts());
    }, 1_300_000);

    it('ends with three Ready nodes and the line to go on with', async () => {
      expect(first).toMatch(/cp1\s+Ready\s+control-plane/);
      expect(first).toContain('export KUBECONFIG=');
      await expectReadyCluster();
    });

    it('writes a kubeconfig that only its owner can read', async () => {
      expect(await readFile(kubeconfig, 'utf8')).toContain('client-certificate-data');
    });

    it('says that nothing changed when it is run again', async () => {
      const { code, stdout, stderr } = await up();
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      expect(stdout).toMatch(/unchanged|nothing (has )?changed/i);
    });
  });
}

/** What kinit leaves behind on a host after a reset, as lines; empty when it is as it was. */
const traces = `
for path in /etc/kubernetes /etc/cni /etc/containerd /var/lib/kubelet /var/lib/etcd /var/lib/cni /var/lib/kinit /opt/kinit /opt/containerd /var/lib/containerd /run/containerd /run/kubelet /run/netns /var/log/pods /var/log/containers /usr/local/bin/kinit /usr/local/bin/kubectl /usr/local/bin/crictl; do
  if [ -d "$path" ]; then find "$path" -mindepth 1 | head -3; elif [ -e "$path" ]; then echo "$path"; fi
done
ip -o link | grep -oE '(kinit\\.[0-9]+|cni[0-9a-z]*|veth[0-9a-f]+)' || true
iptables-save 2>/dev/null | grep -oE '(KUBE|KINIT|CNI)-[A-Z0-9-]+' | sort -u | head -3 || true
pgrep -fa 'kubelet|containerd|kube-|etcd' | grep -v pgrep || true
grep -E ' /(var/lib/kubelet|run/containerd|var/lib/containerd)/' /proc/mounts || true
systemctl list-unit-files --no-legend 'kubelet*' 'containerd*' || true
ls /etc/sysctl.d /etc/modules-load.d | grep -iE 'kinit|k8s|kubernetes' || true
ip route show proto 145 || true
`;

export function resetAndAgain(): void {
  describe('kinit reset', () => {
    it('leaves nothing of ours on any host', async () => {
      const { code, stdout, stderr } = await kinit('reset', '--inventory', inventory, '--force');
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      for (const { name } of hosts()) expect(`${name}: ${(await onHost(name, traces)).trim()}`).toBe(`${name}: `);
      for (const host of hosts()) {
        const left = difference(untouched.get(host.name) ?? [], await hostState(host));
        expect(left, `on ${host.name}`).toEqual([]);
      }
    }, 300_000);

    it('can be followed by another npm run up', async () => {
      const { code, stdout, stderr } = await up();
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      await eventually(expectReadyCluster, 60_000);
    }, 600_000);
  });
}
