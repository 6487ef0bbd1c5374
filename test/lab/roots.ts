/**
 * Root file systems of lab hosts: made once by mmdebstrap from the machine's default mirror, cached below .cache/lab.
 *
 * `debian` and `ubuntu` are of the apt family; `centos` has dnf and rpm, and its apt and dpkg are out of sight, so that an
 * installer meets what it would meet there.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { type HostKind, identityOf } from './state.ts';

export type Flavour = 'debian' | 'ubuntu' | 'centos';
export const flavours: Flavour[] = ['debian', 'ubuntu', 'centos'];

const repository = join(import.meta.dirname, '../..');
export const labCache = join(repository, '.cache/lab');

/** Bookworm's systemd still runs on the version 1 control groups that the machine may have. */
const suite = 'bookworm';
const common = [
  'systemd-sysv',
  'dbus',
  'udev',
  'openssh-server',
  'iproute2',
  'iptables',
  'sudo',
  'kmod',
  'procps',
  'iputils-ping',
  'curl',
  'ca-certificates',
  'libpam-systemd',
];
const packages: Record<'apt' | 'rpm', string[]> = { apt: common, rpm: [...common, 'dnf', 'rpm', 'createrepo-c'] };

/** A kernel for virtual machines, all its modules loadable. */
const vmPackages = ['linux-image-cloud-amd64', 'initramfs-tools', 'zstd', 'e2fsprogs', 'systemd-timesyncd'];
const selinuxPackages = ['secilc', 'selinux-utils'];
/** A small initial RAM disk: it is unpacked by an emulated processor. Written before the kernel's package makes it. */
const initialRamDisk = `cd "$1/etc/" && mkdir -p initramfs-tools/conf.d initramfs-tools/hooks
cat > initramfs-tools/conf.d/lab <<'END'
MODULES=list
COMPRESS=zstd
END
cat > initramfs-tools/hooks/lab <<'END'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
for module in virtio_pci virtio_blk ext4; do force_load $module; done
END
chmod 755 initramfs-tools/hooks/lab`;

const osRelease: Record<Exclude<Flavour, 'debian'>, string> = {
  ubuntu: `PRETTY_NAME="Ubuntu 24.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nVERSION="24.04.3 LTS (Noble Numbat)"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n`,
  centos: `NAME="CentOS Stream"\nVERSION="9"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\nPLATFORM_ID="platform:el9"\nPRETTY_NAME="CentOS Stream 9"\n`,
};

/** Overlay layers of a flavour, uppermost first; made when they are missing. */
export async function flavourLayers(
  flavour: Flavour,
  kind: HostKind = 'container',
  log: (line: string) => void = () => undefined,
): Promise<string[]> {
  const family = flavour === 'centos' ? 'rpm' : 'apt';
  const ofMachines = [...vmPackages, ...(family === 'rpm' ? selinuxPackages : [])];
  const wanted = [...packages[family], ...(kind === 'vm' ? ofMachines : [])];
  const hooks = kind === 'vm' ? [`--essential-hook=${initialRamDisk}`] : [];
  const base = await once(`${family}${kind === 'vm' ? '-vm' : ''}-${keyOf([...wanted, ...hooks])}`, async (draft) => {
    log(`making a ${family} host root with ${wanted.length} packages`);
    await rm(draft, { recursive: true, force: true });
    await execa('mmdebstrap', ['--variant=minbase', ...hooks, `--include=${wanted.join(',')}`, suite, draft]);
  });
  const key = keyOf([flavour, base, release(), layerVersion]);
  const layer = await once(`${flavour}-layer-${key}`, (draft) => makeLayer(flavour, base, draft));
  return [layer, base];
}

const layerVersion = '6';

/**
 * Work that a distribution starts by the clock: it would take apt's lock, or change files, in the middle of whatever
 * test runs at that hour. Its units are masked.
 */
const byTheClock = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'fstrim.timer',
];
const keyOf = (parts: string[]) =>
  createHash('sha256')
    .update(JSON.stringify([suite, ...parts]))
    .digest('hex')
    .slice(0, 12);

export async function once(name: string, make: (draft: string) => Promise<void>): Promise<string> {
  const path = join(labCache, name);
  if (existsSync(path)) return path;
  await mkdir(labCache, { recursive: true });
  for (const entry of await readdir(labCache)) {
    const maker = new RegExp(`^${name}\\.draft-(\\d+)$`).exec(entry)?.[1];
    if (maker && !identityOf(Number(maker))) await rm(join(labCache, entry), { recursive: true, force: true });
  }
  const draft = `${path}.draft-${process.pid}`;
  await make(draft);
  await rename(draft, path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    // Somebody else was faster with the same content.
    await rm(draft, { recursive: true, force: true });
  });
  return path;
}

async function makeLayer(flavour: Flavour, base: string, layer: string): Promise<void> {
  const put = async (path: string, content: string, mode = 0o644) => {
    const full = join(layer, path);
    await mkdir(join(full, '..'), { recursive: true });
    await writeFile(full, content, { mode });
    await chmod(full, mode);
  };
  await put('etc/fstab', '# lab host\n/swapfile none swap sw 0 0\n');
  await put(
    'etc/ssh/sshd_config.d/lab.conf',
    'UseDNS no\nPasswordAuthentication yes\nMaxSessions 100\nMaxStartups 100\n',
  );
  await put(
    'etc/systemd/system/lab-host.service',
    `[Unit]\nDescription=What a container lacks of a machine\nConditionVirtualization=container\nDefaultDependencies=no\nBefore=basic.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/sbin/lab-host\n[Install]\nWantedBy=basic.target\n`,
  );
  await put(
    'usr/local/sbin/lab-host',
    `#!/bin/sh\n# Control groups writable, mounts shared, as on a machine of its own.\nfor group in /sys/fs/cgroup/*/; do mount -o remount,rw,bind "$group"; done\nmount --make-rshared /\n`,
    0o755,
  );
  for (const unit of byTheClock) await symlink('/dev/null', join(layer, 'etc/systemd/system', unit));
  await mkdir(join(layer, 'etc/systemd/system/basic.target.wants'), { recursive: true });
  await symlink('../lab-host.service', join(layer, 'etc/systemd/system/basic.target.wants/lab-host.service'));
  const modules = `lib/modules/${release()}`;
  await put(`usr/${modules}/modules.builtin`, await builtinModules());
  await put(`usr/${modules}/modules.order`, '');
  if (flavour !== 'debian') {
    await put('usr/lib/os-release', osRelease[flavour]);
    await put('etc/os-release', osRelease[flavour]);
  }
  if (flavour === 'centos') await makeRpmFamily(base, layer, put);
  // depmod makes the indexes that modprobe reads.
  await inRoot(base, layer, ['depmod', '-b', '/mnt/usr', release()]);
}

async function makeRpmFamily(
  base: string,
  layer: string,
  put: (path: string, content: string, mode?: number) => Promise<void>,
): Promise<void> {
  await put('etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=targeted\n');
  await put('etc/redhat-release', 'CentOS Stream release 9\n');
  await put('etc/yum.repos.d/lab.repo', '[lab]\nname=lab\nbaseurl=file:///srv/repo\nenabled=1\ngpgcheck=0\n');
  await mkdir(join(layer, 'srv/repo'), { recursive: true });
  // A device 0:0 in an upper layer hides the file below.
  for (const name of ['apt', 'apt-get', 'apt-cache', 'dpkg', 'dpkg-query']) {
    if (!existsSync(join(base, 'usr/bin', name))) continue;
    await mkdir(join(layer, 'usr/bin'), { recursive: true });
    await execa('mknod', [join(layer, 'usr/bin', name), 'c', '0', '0']);
  }
  await inRoot(base, layer, ['createrepo_c', '--quiet', '/mnt/srv/repo']);
}

/** Runs a program of the base with the layer at /mnt, in a mount namespace that ends with it. */
async function inRoot(base: string, layer: string, command: string[]): Promise<void> {
  await execa('unshare', [
    '--mount',
    'sh',
    '-c',
    'base=$1 layer=$2; shift 2; mount --bind "$layer" "$base/mnt" && exec chroot "$base" "$@"',
    'sh',
    base,
    layer,
    ...command,
  ]);
}

/** Modules that the running kernel has built in, so that modprobe answers truthfully on a host without module files. */
async function builtinModules(): Promise<string> {
  const known: Record<string, string> = {
    CONFIG_BRIDGE: 'net/bridge/bridge',
    CONFIG_BRIDGE_NETFILTER: 'net/bridge/br_netfilter',
    CONFIG_OVERLAY_FS: 'fs/overlayfs/overlay',
    CONFIG_VXLAN: 'drivers/net/vxlan/vxlan',
    CONFIG_VETH: 'drivers/net/veth',
    CONFIG_NF_TABLES: 'net/netfilter/nf_tables',
    CONFIG_NF_CONNTRACK: 'net/netfilter/nf_conntrack',
    CONFIG_IP_NF_IPTABLES: 'net/ipv4/netfilter/ip_tables',
    CONFIG_IP_VS: 'net/netfilter/ipvs/ip_vs',
    CONFIG_IP_VS_RR: 'net/netfilter/ipvs/ip_vs_rr',
    CONFIG_TUN: 'drivers/net/tun',
  };
  const config = existsSync('/proc/config.gz') ? gunzipSync(await readFile('/proc/config.gz')).toString() : '';
  return Object.entries(known)
    .filter(([option]) => config.includes(`${option}=y`))
    .map(([, path]) => `kernel/${path}.ko\n`)
    .join('');
}
