/** A virtual machine of the lab shows what a container cannot: modules, control groups, swap and reboots of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { tracesOf } from './traces.ts';

const minutes = 60_000;
const wanted = process.env['KINIT_TEST_VM'] === '1';
const title = wanted ? 'a virtual machine' : 'a virtual machine (takes minutes without KVM: only with KINIT_TEST_VM=1)';

describe.skipIf(!wanted)(title, { timeout: 5 * minutes }, () => {
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

  it('has a kernel of its own, with modules to load', async () => {
    const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables';
    const text = await vm.must(
      `uname -r; ls ${setting}; modprobe -a br_netfilter overlay vxlan ip_vs ip_vs_rr && cat ${setting} && lsmod`,
    );
    const [release, value, ...modules] = text.split('\n');
    expect(release).not.toBe((await lab.host('container').must('uname -r')).trim());
    expect(value).toBe('1');
    const names = modules.map((line) => line.split(' ')[0]);
    expect(names).toEqual(expect.arrayContaining(['br_netfilter', 'overlay', 'vxlan', 'ip_vs', 'ip_vs_rr']));
  });

  it('has control groups of version 2 with the controllers that a kubelet needs', async () => {
    const text = await vm.must('stat -f -c %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers');
    expect(text.split(/\s/)).toEqual(
      expect.arrayContaining(['cgroup2fs', 'cpu', 'cpuset', 'memory', 'pids', 'hugetlb']),
    );
  });

  it('swaps, until it is told not to', async () => {
    const show = 'swapon --show=NAME,SIZE --noheadings';
    const text = await vm.must(`${show}; swapoff -a; echo off; ${show}; echo on; swapon /swapfile; ${show}`);
    expect(text).toMatch(/^\/swapfile +128M\noff\non\n\/swapfile +128M\n$/);
  });

  it('and a container reach each other, until it is cut off', async () => {
    const ping = 'ping -q -c 1 -W 10';
    await vm.must(`${ping} container`);
    await vm.cut();
    expect((await lab.host('container').exec('ping -q -c 1 -W 2 vm')).code).toBe(1);
    await vm.heal();
    await lab.host('container').must(`${ping} vm`);
  });

  it('reboots with its disk and without its loaded modules', async () => {
    const look = 'ls /root; lsmod; cat /proc/sys/kernel/random/boot_id';
    const before = await vm.must(`touch /root/kept; ${look}`);
    expect(before).toContain('br_netfilter');
    await vm.reboot();
    const after = await vm.must(look);
    expect(after).toMatch(/^kept\n/);
    expect(after).not.toContain('br_netfilter');
    expect(after.trim().split('\n').at(-1)).not.toBe(before.trim().split('\n').at(-1));
  });
});
