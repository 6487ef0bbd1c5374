/** A control plane whose machine was lost and reinstalled is put back into its place by one command. */
import { expect, it } from 'vitest';
import type { SeveralControlPlanes } from '../../parts/several-control-planes.ts';

interface Asking {
  cluster: SeveralControlPlanes;
  /** Their names, as etcd on this host knows them. */
  etcdMembers(on: string): Promise<string[]>;
  /** The endpoints of the kubernetes Service are these control planes. */
  expectServers(on: string, names: readonly string[], timeoutMs: number): Promise<void>;
}

/** m3 of m1, m2 and m3 is replaced. */
export function replacesControlPlane(asking: () => Asking): void {
  it('are three again when the machine of one was reinstalled and replaces itself', async () => {
    const { cluster, etcdMembers, expectServers } = asking();
    const { lab, kinit, kubectl } = cluster;
    await kubectl('m1', 'label node m3 rack=7');
    await kubectl('m1', 'taint node m3 dedicated=db:NoSchedule');
    // All that the cluster knows of it stays, as when a machine burns.
    await lab.host('m3').must('kinit reset --force --skip-phases remove-etcd-member');
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
    const refused = await kinit('nodes', 'replace', 'm3', '--with', 'm2', '-i', 'inventory.yaml').catch(String);
    expect(refused).toContain('m2 is a node of the cluster already');
    const output = await kinit('nodes', 'replace', 'm3', '-i', 'inventory.yaml');
    expect(output).toMatch(/\[m3\] \[etcd-member\] Remove its member of etcd/);
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
    await expectServers('m1', ['m1', 'm2', 'm3'], 30_000);
    const marks = `{.metadata.labels.rack} {.spec.unschedulable} {.spec.taints[*].key}`;
    expect((await kubectl('m1', `get node m3 -o jsonpath='${marks}'`)).split(/\s+/).sort()).toEqual(
      ['7', 'dedicated', 'node-role.kubernetes.io/control-plane'].sort(),
    );
    expect(await kubectl('m1', '-n kube-system get configmaps -o name')).not.toContain('kinit-replace');
    const known = `cat /var/lib/kinit-balancer/members.json`;
    expect(await lab.host('w1').must(known)).toContain(`${lab.host('m3').ip}:6443`);
  }, 600_000);
}
