/** A faithful host: a virtual machine of QEMU with a kernel of its own, emulated where the machine cannot virtualize. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { HostProgram } from './container-host.ts';
import { mountHostRoot } from './host-root.ts';
import { cableOf, connectMachine, hardwareAddress } from './network.ts';
import { flavourLayers } from './roots.ts';
import { installPolicy } from './selinux.ts';
import { type HostState, hostFolder, type LabState } from './state.ts';

const program = 'qemu-system-x86_64';
const memoryMiB = 3072;
const diskSize = '16G';

/** Installs QEMU when it is missing: only who asks for a virtual machine needs it. */
export async function installQemu(log: (line: string) => void = () => undefined): Promise<void> {
  const packages = ['qemu-system-x86', 'e2fsprogs'];
  const found = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  if (found(program) && found('mke2fs')) return;
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  if (process.getuid?.() !== 0 || !found('apt-get'))
    throw new Error(`hosts of kind vm need QEMU; install it as root, on Debian with: apt-get ${install.join(' ')}`);
  log(`installing ${packages.join(', ')} for hosts of kind vm`);
  const apt = (...args: string[]) =>
    execa('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-qq', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } });
  await apt('update');
  await apt(...install);
}

export async function prepareMachine(lab: LabState, host: HostState): Promise<HostProgram> {
  const disk = await makeDisk(lab, host);
  await connectMachine(lab.network, host.position);
  const [, base] = await flavourLayers(host.flavour, 'vm');
  const boot = join(base as string, 'boot');
  const bootFile = (prefix: string) => {
    const name = readdirSync(boot).find((entry) => entry.startsWith(prefix));
    if (!name) throw new Error(`${boot} has no ${prefix}`);
    return join(boot, name);
  };
  const command = [
    program,
    ...['-name', host.name, '-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35'],
    ...accelerator(),
    ...['-smp', '2', '-m', String(memoryMiB), '-serial', 'stdio'],
    ...['-kernel', bootFile('vmlinuz-'), '-initrd', bootFile('initrd.img-')],
    ...['-append', kernelArguments(host)],
    // A plug that is pulled ends QEMU, not the machine below: what the guest has written is kept without syncing.
    ...['-drive', `file=${disk},if=none,id=disk,format=raw,cache=unsafe`, '-device', 'virtio-blk-pci,drive=disk'],
    ...['-netdev', `tap,id=net,ifname=${cableOf(lab.network, host.position)},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=net,mac=${hardwareAddress(lab.network, host.position)}`],
    ...['-object', 'rng-random,id=random,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=random'],
  ];
  return { command };
}

const kernelArguments = (host: HostState) =>
  [
    'root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off quiet systemd.show_status=1',
    ...(host.flavour === 'centos' ? ['security=selinux selinux=1'] : []),
  ].join(' ');

/** KVM where the processor offers it to this machine; a device file alone does not say so. */
function accelerator(): string[] {
  const virtualizes = /^flags.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8')) && existsSync('/dev/kvm');
  const emulated = ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,la57=off'];
  return virtualizes ? ['-accel', 'kvm', '-accel', 'tcg,thread=multi', '-cpu', 'max'] : emulated;
}

/** The host's disk: its flavour's root with what makes it this host, as an ext4 file system. Made once. */
async function makeDisk(lab: LabState, host: HostState): Promise<string> {
  const folder = hostFolder(lab, host.name);
  const disk = join(folder, 'disk.img');
  if (existsSync(disk)) return disk;
  const root = await mountHostRoot(lab, host);
  await makeMachine(root, host);
  if (host.flavour === 'centos') await installPolicy(root);
  if (host.bundle) await unpackBundle(root, host.bundle);
  await execa('mke2fs', ['-q', '-t', 'ext4', '-L', 'root', '-d', root, `${disk}.draft`, diskSize]);
  await rename(`${disk}.draft`, disk);
  await execa('umount', [root]);
  for (const path of ['upper', 'work']) await rm(join(folder, path), { recursive: true, force: true });
  return disk;
}

async function unpackBundle(root: string, bundle: string): Promise<void> {
  const copy = join(root, 'tmp/bundle.run');
  await copyFile(bundle, copy);
  await execa('chroot', [root, 'sh', '/tmp/bundle.run', '--quiet']);
  await rm(copy);
}

/** Network, swap and mounts, as an installer of a distribution leaves them. */
async function makeMachine(root: string, host: HostState): Promise<void> {
  const network = host.address.replace(/\d+$/, '1');
  await mkdir(join(root, 'etc/systemd/network'), { recursive: true });
  await writeFile(
    join(root, 'etc/systemd/network/10-eth0.network'),
    `[Match]\nName=eth0\n[Network]\nAddress=${host.address}/24\nGateway=${network}\n`,
  );
  await execa('chroot', [root, 'systemctl', 'enable', '--quiet', 'systemd-networkd']);
  // It would only take processor time.
  await execa('chroot', [root, 'systemctl', 'mask', '--quiet', 'e2scrub_reap.service']);
  // Else each connection starts a service manager for root, and ends it afterwards.
  await mkdir(join(root, 'var/lib/systemd/linger'), { recursive: true });
  await writeFile(join(root, 'var/lib/systemd/linger/root'), '');
  const fstab = join(root, 'etc/fstab');
  const lines = readFileSync(fstab, 'utf8');
  await writeFile(fstab, '/dev/vda / ext4 defaults 0 1\n');
  await appendFile(fstab, lines);
  const unit = join(root, 'etc/systemd/system/lab-swap.service');
  await writeFile(unit, swapUnit);
  await execa('chroot', [root, 'systemctl', 'enable', '--quiet', 'lab-swap']);
}

/** A swap file must not have holes, and a new disk image is full of them: the host makes it when it starts first. */
const swapUnit = `[Unit]
Description=The swap file
DefaultDependencies=no
After=systemd-remount-fs.service
Before=swapfile.swap
ConditionPathExists=!/swapfile
[Service]
Type=oneshot
ExecStart=/bin/sh -c "fallocate -l 128M /swapfile && chmod 600 /swapfile && mkswap /swapfile"
[Install]
RequiredBy=swapfile.swap
`;
