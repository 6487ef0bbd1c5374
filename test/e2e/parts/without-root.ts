/** No process of the control plane is root's, each of its files is of whom it should be, and what runs as root can be brought over. */
import { describe, expect, it } from 'vitest';
import type { HealthReport } from '../../../src/installer/health/types.ts';
import { eventually } from '../../parts/eventually.ts';
import { inventory, kinit, onHost } from '../harness.ts';

const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

/** `user program`, of the real processes. */
const processes = async () => {
  const lines = (await onHost('cp1', 'ps -eo user:32,args')).split('\n').map((line) => line.split(/\s+/));
  return lines.flatMap(([user, program = '']) => (programs.includes(program) ? [`${user} ${program}`] : [])).sort();
};
const asUsers = [
  'kubeadm-etcd etcd',
  'kubeadm-kas kube-apiserver',
  'kubeadm-kcm kube-controller-manager',
  'kubeadm-ks kube-scheduler',
];

const owners = `
root:root 600 admin.conf
kubeadm-kas:kubeadm-kas 600 audit-policy.yaml
kubeadm-kcm:kubeadm-kcm 600 controller-manager.conf
root:root 600 kubelet.conf
root:root 644 pki/apiserver.crt
kubeadm-kas:kubeadm-kas 600 pki/apiserver.key
kubeadm-kas:kubeadm-kas 600 pki/apiserver-etcd-client.key
kubeadm-kas:kubeadm-kas 600 pki/apiserver-kubelet-client.key
kubeadm-kcm:kubeadm-kcm 600 pki/ca.key
kubeadm-kas:kubeadm-kas 600 pki/encryption.yaml
root:root 600 pki/etcd/ca.key
root:root 600 pki/etcd/healthcheck-client.key
kubeadm-etcd:kubeadm-etcd 600 pki/etcd/peer.key
kubeadm-etcd:kubeadm-etcd 600 pki/etcd/server.key
root:root 600 pki/front-proxy-ca.key
kubeadm-kas:kubeadm-kas 600 pki/front-proxy-client.key
root:kubeadm-sa-key-readers 640 pki/sa.key
kubeadm-kas:kubeadm-kas 600 pki/sa.pub
kubeadm-ks:kubeadm-ks 600 scheduler.conf
root:root 600 super-admin.conf
kubeadm-etcd:kubeadm-etcd 700 /var/lib/etcd
kubeadm-kas:kubeadm-kas 700 /var/log/kubernetes/audit
`.trim();

export function withoutRoot(): void {
  describe('a control plane without root', () => {
    it('runs as users of its own, with files that are theirs', async () => {
      await eventually(async () => expect(await processes()).toEqual(asUsers), 30_000);
      const paths = owners.split('\n').map((line) => line.split(' ')[2]);
      expect((await onHost('cp1', `cd /etc/kubernetes; stat -c '%U:%G %a %n' ${paths.join(' ')}`)).trim()).toBe(owners);
      expect(
        await onHost(
          'cp1',
          'find /var/lib/etcd ! -user kubeadm-etcd; find /var/log/kubernetes/audit ! -user kubeadm-kas',
        ),
      ).toBe('');
      expect(await onHost('cp1', 'cat /proc/$(pgrep -x etcd)/status | grep -E "CapBnd|NoNewPrivs"')).toBe(
        'CapBnd:\t0000000000000000\nNoNewPrivs:\t1\n',
      );
    });

    it('keeps the owners of what is written anew', async () => {
      await onHost(
        'cp1',
        'mv /etc/kubernetes/scheduler.conf /root/ && kinit init phase kubeconfig scheduler && kinit certs renew apiserver-kubelet-client',
      );
      expect(
        await onHost('cp1', "cd /etc/kubernetes && stat -c '%U %a' scheduler.conf pki/apiserver-kubelet-client.key"),
      ).toBe('kubeadm-ks 600\nkubeadm-kas 600\n');
      await onHost('cp1', 'mv /root/scheduler.conf /etc/kubernetes/');
    });

    it('is told of files that it cannot read, and doctor gives them back', async () => {
      await onHost('cp1', 'chown root:root /etc/kubernetes/pki/sa.key /etc/kubernetes/scheduler.conf');
      const { stdout } = await kinit('doctor', '--inventory', inventory, '--output', 'json', '--fix');
      const { fixed = [] } = JSON.parse(stdout) as HealthReport;
      const mended = fixed.map(({ problem, error }) => [problem.id, problem.target, error]);
      for (const file of ['pki/sa.key', 'scheduler.conf'])
        expect(mended).toContainEqual(['file-owner', `/etc/kubernetes/${file}`, undefined]);
      expect(await onHost('cp1', "cd /etc/kubernetes && stat -c '%U:%G %a' pki/sa.key scheduler.conf")).toBe(
        'root:kubeadm-sa-key-readers 640\nkubeadm-ks:kubeadm-ks 600\n',
      );
    });

    it('goes back to root with the gate off, stays there, and comes again with the gate on', async () => {
      const scheduler = (flags = '') => onHost('cp1', `kinit init phase control-plane scheduler ${flags}`);
      const isRoots = async () => expect(await processes()).toContain('root kube-scheduler');
      await scheduler('--feature-gates RootlessControlPlane=false');
      await eventually(isRoots, 60_000);
      expect(await scheduler()).toContain('nothing had to be changed');
      await scheduler('--feature-gates RootlessControlPlane=true');
      await eventually(async () => expect(await processes()).toEqual(asUsers), 60_000);
    });
  });
}
