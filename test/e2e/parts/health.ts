/** What status and doctor see of a cluster that is well, of one that is not, and what doctor mends. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HealthReport } from '../../../src/installer/health/types.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';
import { busyboxImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { inventory, kinit, must, onHost, run } from '../harness.ts';

const examine = async (...args: string[]): Promise<{ code: number; report: HealthReport }> => {
  const { code, stdout } = await kinit('doctor', '--inventory', inventory, '--output', 'json', ...args);
  return { code, report: JSON.parse(stdout) as HealthReport };
};
const errorsOf = ({ problems }: HealthReport) => problems.filter(({ level }) => level === 'error');

const currentCertificate = '/var/lib/kubelet/pki/kubelet-client-current.pem';
/** A certificate of yesterday, a device in /proc/swaps, a full file system where etcd would have its data… */
const injure = `set -e
systemctl stop containerd
printf 'Filename Type Size Used Priority\\n/dev/returned partition 9 0 -2\\n' > /run/swaps && mount --bind /run/swaps /proc/swaps
mkdir -p /var/lib/etcd && mount -t tmpfs -o size=256k tmpfs /var/lib/etcd && dd if=/dev/zero of=/var/lib/etcd/fill bs=1k count=250 2>/dev/null
cp -P ${currentCertificate} /run/current.pem && rm ${currentCertificate}
printf '%s' '${selfSignedCertificate('system:node:w1', [], -1).cert}' > ${currentCertificate}
cp /etc/containerd/config.toml /run/config.toml && sed -i 's/SystemdCgroup = .*/SystemdCgroup = OTHER/' /etc/containerd/config.toml
grep -q 'cgroupDriver: systemd' /var/lib/kubelet/config.yaml && other=false || other=true
sed -i "s/SystemdCgroup = OTHER/SystemdCgroup = $other/" /etc/containerd/config.toml
mv /etc/cni/net.d /run/net.d`;
const heal = `mv -T /run/net.d /etc/cni/net.d
cp /run/config.toml /etc/containerd/config.toml
cp -P /run/current.pem ${currentCertificate}
umount /var/lib/etcd; rmdir /var/lib/etcd
umount /proc/swaps; rm -f /run/swaps /run/current.pem /run/config.toml
systemctl start containerd`;

export function health(): void {
  describe('status and doctor', () => {
    it('see a cluster that is well', async () => {
      await eventually(async () => expect(errorsOf((await examine()).report)).toEqual([]), 60_000);
      const { code, stdout } = await kinit('status', '--inventory', inventory);
      expect(code).toBe(0);
      expect(stdout).toContain('3 of 3 nodes Ready');
      expect(stdout).toMatch(/cp1 {2}control-plane {2}Ready/);
      expect(stdout).toContain('kube-controller-manager (leads)');
      expect(stdout).toContain('dns  answers at 10.96.0.10');
      expect(stdout).not.toMatch(/UNHEALTHY|UNREACHABLE|EXPIRED/);
    });

    it('find what is wrong on hosts, and mend what is safe', async () => {
      await onHost('w1', 'systemctl stop kubelet; sysctl -w net.ipv4.ip_forward=0');
      await onHost('cp1', 'chmod 644 /etc/kubernetes/admin.conf');
      const { code, report } = await examine();
      expect(code).toBe(1);
      const found = report.problems.map(({ where, id }) => `${where} ${id}`);
      expect(found).toEqual(expect.arrayContaining(['w1 service-dead', 'w1 sysctl', 'cp1 file-mode']));
      const mended = await examine('--fix');
      expect(mended.report.fixed?.filter(({ error }) => error !== undefined)).toEqual([]);
      expect(mended.report.problems.map(({ where, id }) => `${where} ${id}`)).not.toEqual(
        expect.arrayContaining(['w1 service-dead']),
      );
      expect((await onHost('w1', 'systemctl is-active kubelet; sysctl -n net.ipv4.ip_forward')).trim()).toBe(
        'active\n1',
      );
      expect((await onHost('cp1', 'stat -c %a /etc/kubernetes/admin.conf')).trim()).toBe('600');
    });

    it('name what is wrong on a host, whatever it is', async () => {
      // Each is done to the worker, or to what doctor reads of it, and taken back at the end.
      try {
        await onHost('w1', injure);
        const { problems } = (await examine('--limit', 'w1')).report;
        expect(problems.map(({ id }) => id)).toEqual(
          expect.arrayContaining([
            'service-dead',
            'swap-on',
            'disk-full',
            'certificate-expired',
            'cgroup-driver',
            'network-missing',
          ]),
        );
        expect(problems.find(({ id }) => id === 'service-dead')?.message).toBe('containerd.service is inactive');
        expect(problems.find(({ id }) => id === 'swap-on')?.message).toContain('/dev/returned');
      } finally {
        await onHost('w1', heal);
      }
      await eventually(async () => expect(errorsOf((await examine()).report)).toEqual([]), 60_000);
    }, 120_000);

    it('tell of etcd, and of what crashes again and again with its last words', async () => {
      await must('run', 'crasher', `--image=${busyboxImage}`, '--', 'sh', '-c', 'echo the ink is dry; exit 3');
      try {
        await eventually(async () => {
          const { problems, etcd } = (await examine('--limit', 'cp1')).report;
          expect(problems.find(({ message }) => message.includes('default/crasher'))?.seen).toContain('the ink is dry');
          expect(etcd).toMatchObject({ members: [{ name: 'cp1', leader: true, healthy: true }], quotaBytes: 2 ** 31 });
          expect(etcd?.members[0]?.dbSizeBytes).toBeGreaterThan(0);
        }, 60_000);
      } finally {
        await must('delete', 'pod', 'crasher', '--now', '--wait=false');
      }
    }, 90_000);

    it('pack what others need to see, and no keys', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'kinit-support-'));
      try {
        const { code, stderr } = await kinit('support-bundle', '--inventory', inventory, '--out', folder);
        expect([code, stderr]).toEqual([0, '']);
        expect((await readdir(folder)).sort()).toEqual(['cp1.tar.gz', 'w1.tar.gz', 'w2.tar.gz']);
        expect((await stat(join(folder, 'cp1.tar.gz'))).mode & 0o777).toBe(0o600);
        const { stdout: names } = await run('tar', ['-tzf', join(folder, 'cp1.tar.gz')]);
        for (const name of ['doctor.json', 'logs/kubelet.txt', 'cluster/pods.json', 'network/iptables.txt'])
          expect(names.split('\n')).toContain(name);
        const { stdout: content } = await run('tar', ['-xzOf', join(folder, 'cp1.tar.gz')]);
        expect(content).toContain('kube-apiserver-cp1');
        expect(content).not.toContain('PRIVATE KEY');
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('name a silent DNS', async () => {
      await must('-n', 'kube-system', 'scale', 'deployment', 'coredns', '--replicas=0');
      await eventually(
        async () => expect(errorsOf((await examine()).report).map(({ id }) => id)).toContain('dns-silent'),
        60_000,
      );
      await must('-n', 'kube-system', 'scale', 'deployment', 'coredns', '--replicas=2');
      await must('-n', 'kube-system', 'rollout', 'status', 'deployment', 'coredns', '--timeout=60s');
    });
  });
}
