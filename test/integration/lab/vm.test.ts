/** A virtual machine of the lab shows what a container cannot: modules, control groups, swap and reboots of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { tracesOf } from './traces.ts';

const minutes = 60_000;
let lab: Lab;
let vm: LabHost;

beforeAll(async () => {
  lab = await createLab({
    name: 'vm-test',
    hosts: [
      { name: 'vm', flavour: 'debian', kind: 'vm' },
      { name: 'container', flavour: 'debian' },
    ],
  });
  vm = lab.host('vm');
}, 8 * minutes);

afterAll(async () => {
  await lab?.down();
  if (lab) expect(await tracesOf(lab.state)).toEqual([]);
});

describe('a virtual machine', { timeout: 4 * minutes }, () => {
  it('has a kernel of its own, with modules to load', async () => {
    expect(await vm.must('uname -r')).not.toBe(await lab.host('container').must('uname -r'));
    expect((await vm.exec('test -e /proc/sys/net/bridge')).code).toBe(1);
    await vm.must('modprobe -a br_netfilter overlay vxlan ip_vs ip_vs_rr');
    expect(await vm.must('lsmod')).toMatch(/^ip_vs_rr .*\n(.*\n)*br_netfilter /m);
    expect((await vm.must('sysctl -n net.bridge.bridge-nf-call-iptables')).trim()).toBe('1');
  });

  it('has control groups of version 2 with the controllers that a kubelet needs', async () => {
    expect((await vm.must('stat -f -c %T /sys/fs/cgroup')).trim()).toBe('cgroup2fs');
    expect((await vm.must('cat /sys/fs/cgroup/cgroup.controllers')).split(/\s/)).toEqual(
      expect.arrayContaining(['cpu', 'cpuset', 'memory', 'pids', 'hugetlb']),
    );
  });

  it('swaps, until it is told not to', async () => {
    expect(await vm.must('swapon --show --noheadings')).toMatch(/^\/swapfile file 128M/);
    await vm.must('swapoff -a');
    expect(await vm.must('swapon --show --noheadings')).toBe('');
    await vm.must('swapon /swapfile');
  });

  it('and a container reach each other', async () => {
    await vm.must('ping -q -c 1 -W 10 container');
    await lab.host('container').must('ping -q -c 1 -W 10 vm');
    await vm.cut();
    expect((await lab.host('container').exec('ping -q -c 1 -W 2 vm')).code).toBe(1);
    await vm.heal();
    await lab.host('container').must('ping -q -c 3 -W 10 vm');
  });

  it('reboots with its disk and without its loaded modules', async () => {
    const before = await vm.must('touch /root/kept; cat /proc/sys/kernel/random/boot_id');
    await vm.reboot();
    expect(await vm.must('cat /proc/sys/kernel/random/boot_id; ls /root/kept')).not.toContain(before);
    expect(await vm.must('lsmod')).not.toMatch(/^br_netfilter /m);
  });
});
