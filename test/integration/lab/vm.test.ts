/**
 * A virtual machine of the lab shows what a container cannot, and what kinit does about it: SELinux that enforces, modules to
 * load, swap, control groups of version 2, and reboots. Only the phases that touch these run: the processor is emulated.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { guardedContext } from '../../lab/selinux.ts';
import { tracesOf } from './traces.ts';

const bundle = join(import.meta.dirname, `../../../dist/kinit-${kinitVersion}-linux-amd64.run`);
const minutes = 60_000;
const timeoutMs = 8 * minutes;
const ctr = '/opt/kinit/current/bin/ctr -n k8s.io';

/** All of `kinit init` but the control plane and the large images. */
const skipped = [
  'images/etcd,images/control-plane,images/load,images/added,certs/front-proxy-ca,certs/etcd-ca,certs/apiserver',
  'certs/apiserver-kubelet-client,certs/front-proxy-client,certs/etcd-server,certs/etcd-peer,certs/etcd-healthcheck-client',
  'certs/apiserver-etcd-client,certs/sa,kubeconfig/admin,kubeconfig/super-admin,kubeconfig/controller-manager',
  'kubeconfig/scheduler,etcd,control-plane,wait-control-plane,upload-config,upload-certs,addon,bootstrap-token',
  'mark-control-plane,wait-node,kubelet-finalize,show-join-command',
].join(',');

const configuration = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
`;

const staticPod = `apiVersion: v1
kind: Pod
metadata: { name: still }
spec:
  hostNetwork: true
  containers:
  - { name: pause, image: 'kinit.local/pause:3.10.1', resources: { limits: { memory: 64Mi } } }
`;

/** What kinit changes of a host, as it is now. */
const settings = `
getenforce
tail -n +2 /proc/swaps | cut -d' ' -f1
cat /proc/sys/net/ipv4/ip_forward
find /etc -xdev -type f -not -name '*-' -exec sha256sum {} + | sort -k 2
find /etc/systemd -type l -printf '%p %l\\n' | sort
ls -A /var/lib/kubelet /var/lib/containerd 2>&1; true
`;

describe('a virtual machine', { timeout: timeoutMs }, () => {
  let lab: Lab;
  let vm: LabHost;
  let before: string;

  beforeAll(async () => {
    lab = await createLab({
      name: 'vm-test',
      hosts: [
        { name: 'vm', flavour: 'centos', kind: 'vm', bundle: bundle },
        { name: 'container', flavour: 'debian' },
      ],
    });
    vm = lab.host('vm');
    await vm.must(`cat > /root/kinit.yaml`, { input: configuration });
    // Nobody may read it while SELinux enforces its policy.
    await vm.must(`echo secret > /root/guarded && chcon ${guardedContext} /root/guarded`);
    before = await vm.must(settings, { timeoutMs });
  }, timeoutMs);

  afterAll(async () => {
    await lab?.down();
    if (!lab) return;
    await vi.waitFor(async () => expect(await tracesOf(lab.state)).toEqual([]), { timeout: 20_000, interval: 200 });
  });

  const modules = async () => (await vm.must('lsmod')).split('\n').map((line) => line.split(' ')[0]);

  it('has a kernel and control groups of its own, swap, and SELinux that enforces', async () => {
    const release = await lab.host('container').must('uname -r');
    const text = await vm.must('uname -r; stat -f -c %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers');
    expect(text).not.toContain(release);
    expect(text.split(/\s/)).toEqual(
      expect.arrayContaining(['cgroup2fs', 'cpu', 'cpuset', 'memory', 'pids', 'hugetlb']),
    );
    expect(before).toMatch(/^Enforcing\n\/swapfile\n0\n/);
    const denied = await vm.exec('cat /root/guarded');
    expect(denied.stderr).toBe('cat: /root/guarded: Permission denied\n');
    expect(await modules()).not.toContain('br_netfilter');
  });

  it('and a container reach each other, until it is cut off', async () => {
    const ping = 'ping -q -c 1 -W 10';
    await vm.must(`${ping} container`);
    await vm.cut();
    expect((await lab.host('container').exec('ping -q -c 1 -W 2 vm')).code).toBe(1);
    await vm.heal();
    await lab.host('container').must(`${ping} vm`);
  });

  it('is prepared by kinit: SELinux permissive, swap off, modules loaded, the systemd driver', async () => {
    await vm.must(`kinit init --config /root/kinit.yaml --output plain --skip-phases=${skipped}`, { timeoutMs });
    expect(await prepared()).toEqual(preparedSettings);
    expect(await vm.must('cat /root/guarded')).toBe('secret\n');
    await vm.must('kinit images load --image kinit.local/pause:3.10.1', { timeoutMs });
    await vm.must('cat > /etc/kubernetes/manifests/still.yaml', { input: staticPod });
    await podRuns();
  });

  it('keeps all of it over a reboot', async () => {
    const boot = 'cat /proc/sys/kernel/random/boot_id';
    const first = await vm.must(boot);
    await vm.reboot();
    expect(await vm.must(boot)).not.toBe(first);
    expect(await prepared()).toEqual(preparedSettings);
    await podRuns();
  });

  it('is after reset what it was before, at once and after another reboot', async () => {
    await vm.must('kinit reset --force --keep-bundle --output plain', { timeoutMs });
    expect(await vm.must(settings, { timeoutMs })).toBe(before);
    expect((await vm.exec('cat /root/guarded')).stderr).toBe('cat: /root/guarded: Permission denied\n');
    expect(await modules()).not.toContain('br_netfilter');
    await vm.reboot();
    expect(await vm.must(settings, { timeoutMs })).toBe(before);
    expect(await modules()).not.toContain('br_netfilter');
  });

  const preparedSettings = {
    selinux: 'Permissive',
    selinuxAtBoot: 'SELINUX=permissive',
    swap: '',
    swapAtBoot: '# kinit: swap is off for the kubelet: /swapfile none swap sw 0 0',
    modules: ['br_netfilter', 'overlay'],
    bridged: '1',
    forwarded: '1',
    runtimeCgroup: 'SystemdCgroup = true',
    kubeletCgroup: 'cgroupDriver: systemd',
  };

  const prepared = async (): Promise<typeof preparedSettings> => {
    const text = await vm.must(`
getenforce
grep ^SELINUX= /etc/selinux/config
tail -n +2 /proc/swaps | tr '\\n' ' '; echo
grep swap /etc/fstab
cat /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/ipv4/ip_forward
grep -o 'SystemdCgroup = .*' /etc/containerd/config.toml
grep cgroupDriver /var/lib/kubelet/config.yaml
`);
    const lines = text.split('\n');
    const loaded = await modules();
    const [selinux, selinuxAtBoot, swap, swapAtBoot, bridged, forwarded, runtimeCgroup, kubeletCgroup] = lines;
    return {
      selinux,
      selinuxAtBoot,
      swap: swap?.trim(),
      swapAtBoot,
      modules: preparedSettings.modules.filter((name) => loaded.includes(name)),
      bridged,
      forwarded,
      runtimeCgroup,
      kubeletCgroup,
    } as typeof preparedSettings;
  };

  /** The kubelet and containerd run a static pod, in slices and scopes that systemd made, with its limit. */
  const podRuns = async () => {
    const scopes = 'ls -d /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/*.slice/cri-containerd-*.scope';
    await vm.must(
      `for i in $(seq 240); do [ "$(${ctr} tasks ls | grep -c RUNNING)" -lt 2 ] || exit 0; sleep 0.5; done; journalctl -u kubelet -n 30 -o cat >&2; exit 1`,
      { timeoutMs },
    );
    const found = (await vm.must(scopes)).trim().split('\n');
    expect(found).toHaveLength(2);
    expect(await vm.must(`cat ${found.map((path) => `${path}/memory.max`).join(' ')}`)).toContain('67108864');
    const units = await vm.must('systemctl list-units --type=scope --plain --no-legend "cri-containerd-*"');
    expect(units.match(/loaded active running/g)).toHaveLength(2);
  };
});
