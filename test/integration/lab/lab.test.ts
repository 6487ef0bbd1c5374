/** The lab keeps its promises: hosts that behave as machines do, and nothing left of them afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLab, type Lab, openLab, removeLab, sweepLabs } from '../../lab/lab.ts';
import { type LabState, readState } from '../../lab/state.ts';
import { tracesOf } from './traces.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await createLab({
    name: 'lab-test',
    hosts: [
      { name: 'a', flavour: 'debian', users: [{ name: 'ops', sudo: 'nopasswd' }, { name: 'eve' }] },
      { name: 'b', flavour: 'ubuntu' },
      { name: 'c', flavour: 'centos' },
    ],
  });
});

afterAll(() => lab?.down());

const nothingLeft = (state: LabState) =>
  vi.waitFor(async () => expect(await tracesOf(state)).toEqual([]), { timeout: 20_000, interval: 200 });

describe('hosts of three flavours', () => {
  it.each([
    ['a', 'debian', 'Debian GNU/Linux 12'],
    ['b', 'ubuntu', 'Ubuntu 24.04'],
    ['c', 'centos', 'CentOS Stream 9'],
  ])('%s says that it is %s', async (name, id, prettyName) => {
    const host = lab.host(name);
    const text = await host.must('. /etc/os-release; echo "$ID $PRETTY_NAME"; hostname; cat /proc/1/comm');
    expect(text).toContain(`${id} ${prettyName}`);
    expect(text).toContain(`\n${name}\nsystemd\n`);
    expect(await host.must('ip -4 -brief address show eth0')).toMatch(new RegExp(`^eth0@.* UP +${host.ip}/24`));
  });

  it.each([
    ['a', 'apt-get -s install procps', 'dnf'],
    ['b', 'dpkg-query -W apt', 'dnf'],
    ['c', 'dnf -q --releasever=9 repolist && rpm --version', 'apt-get dpkg'],
  ])("%s has its family's package tools: %s, and not %s", async (name, works, absent) => {
    await lab.host(name).must(works);
    expect((await lab.host(name).exec(`command -v ${absent}`)).code).not.toBe(0);
  });

  it.each(['a', 'b', 'c'])('%s starts nothing by the clock that would come into a test', async (name) => {
    const text = await lab.host(name).must('systemctl list-timers --no-legend --plain | grep -o "[^ ]*[.]timer"');
    expect(text).toBe('systemd-tmpfiles-clean.timer\n');
  });

  it('share enough inotify instances for several labs', async () => {
    const text = await lab.host('a').must('cat /proc/sys/fs/inotify/max_user_instances');
    expect(Number(text)).toBeGreaterThanOrEqual(1024);
  });

  it('answers any exit code, standard error and standard input', async () => {
    const host = lab.host('a');
    expect(await host.exec('cat; echo bad >&2; exit 7', { input: 'in' })).toEqual({
      code: 7,
      stdout: 'in',
      stderr: 'bad\n',
    });
    await expect(host.must('echo why >&2; exit 3')).rejects.toThrow('a: echo why >&2; exit 3 exited 3: why');
  });

  it('has the users that were asked for, with sudo or without', async () => {
    expect((await lab.host('a').must('sudo -n id -u', { user: 'ops' })).trim()).toBe('0');
    expect((await lab.host('a').exec('sudo -n id -u', { user: 'eve' })).code).not.toBe(0);
  });
});

describe('the network', () => {
  it('lets hosts reach each other by name', async () => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ] as const)
      await lab.host(from).must(`ping -q -c 1 -W 5 ${to}`);
  });

  it('takes one host off, and back', async () => {
    await lab.host('b').cut();
    expect((await lab.host('a').exec('ping -q -c 1 -W 1 b')).code).toBe(1);
    await lab.host('a').must('ping -q -c 1 -W 5 c');
    await lab.host('b').heal();
    await lab.host('b').reachable();
    await lab.host('a').must('ping -q -c 3 -W 5 b');
  });
});

describe('power', () => {
  /** When the first process started. Other than boot_id, each container has this for itself. */
  const boot = (name: string) => lab.host(name).must("cut -d ' ' -f 22 /proc/1/stat");
  const mark = (name: string) => lab.host(name).must('touch /root/kept /run/lost && sync');
  const marks = async (name: string) => (await lab.host(name).must('ls /root/kept /run/lost 2>/dev/null; true')).trim();

  it('reboots into a new boot with the same disk, address and host key', async () => {
    const before = await boot('a');
    await mark('a');
    await lab.host('a').reboot();
    expect(await boot('a')).not.toBe(before);
    expect(await marks('a')).toBe('/root/kept');
    await lab.host('b').must('ping -q -c 1 -W 5 a');
  });

  it('loses its plug, and is started again', async () => {
    const before = await boot('c');
    await mark('c');
    await lab.host('c').kill();
    expect((await lab.host('c').exec('true')).code).toBe(255);
    await lab.host('c').start();
    expect(await boot('c')).not.toBe(before);
    expect(await marks('c')).toBe('/root/kept');
  });
});

describe('labs', () => {
  it('are found by name from another process', () => {
    expect(openLab('lab-test')?.hosts.map(({ ip }) => ip)).toEqual(lab.hosts.map(({ ip }) => ip));
    expect(openLab('lab-test-none')).toBeUndefined();
    expect(() => lab.host('z')).toThrow('lab lab-test has no host z');
  });

  /** A process that owns a lab, and the lab. */
  async function ownerOf(name: string) {
    const owner = spawn(process.execPath, [join(import.meta.dirname, 'owner.ts'), name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<Buffer>((resolve, reject) => {
      owner.stdout.once('data', resolve);
      owner.once('exit', (code) => reject(new Error(`the owner of lab ${name} exited ${code}`)));
    });
    return { owner, state: JSON.parse(line.toString()) as LabState };
  }

  it('stand side by side, and leave nothing behind when their owner is killed', async () => {
    const { owner, state } = await ownerOf('lab-test-crash');
    expect(state.network.index).not.toBe(lab.state.network.index);
    const other = openLab('lab-test-crash')?.host('a');
    await Promise.all([lab.host('a').must('touch /root/first'), other?.must('touch /root/second')]);
    expect((await other?.must('ls /root'))?.trim()).toBe('second');
    expect((await tracesOf(state)).length).toBeGreaterThan(5);
    owner.kill('SIGKILL');
    await nothingLeft(state);
    await lab.host('a').must('ls /root/first && ping -q -c 1 -W 5 b');
  });

  it('leave nothing behind when their owner is killed while their hosts start', async () => {
    const owner = spawn(process.execPath, [join(import.meta.dirname, 'owner.ts'), 'lab-test-early'], {
      stdio: 'ignore',
    });
    const state = await vi.waitUntil(
      () => [readState('lab-test-early')].find((found) => found?.supervisorPid !== undefined),
      { timeout: 20_000, interval: 5 },
    );
    owner.kill('SIGKILL');
    await nothingLeft(state);
  });

  it('are swept when their supervisor has died too', async () => {
    const { owner, state } = await ownerOf('lab-test-sweep');
    process.kill(state.supervisorPid as number, 'SIGKILL');
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    expect(await sweepLabs()).toContain('lab-test-sweep');
    expect(await tracesOf(state)).toEqual([]);
    expect(await removeLab('lab-test-sweep')).toBe(false);
  });
});
