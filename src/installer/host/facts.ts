/** What the installer needs to know about a host before it changes anything; everything is read from files. */
import { networkInterfaces, hostname as systemHostname } from 'node:os';
import { exists, type Host, readText } from './host.ts';

export interface HostFacts {
  hostname: string;
  /** Address of the interface with the default route, or the first one that others can reach. */
  address?: string;
  os: { id: string; name: string; versionId: string; family: 'debian' | 'redhat' | 'other' };
  kernel: string;
  /** systemd is PID 1. */
  systemd: boolean;
  cgroupVersion: 1 | 2;
  cpus: number;
  memoryBytes: number;
  /** CAP_SYS_RESOURCE: without it no process may lower its OOM score, and runc fails when it is told to. */
  canLowerOomScore: boolean;
  uid: number;
}

export async function observeHost(host: Host): Promise<HostFacts> {
  const [osRelease, kernel, pid1, cpuinfo, meminfo, status] = await Promise.all([
    readText(host, '/etc/os-release'),
    readText(host, '/proc/sys/kernel/osrelease'),
    readText(host, '/proc/1/comm'),
    readText(host, '/proc/cpuinfo'),
    readText(host, '/proc/meminfo'),
    readText(host, '/proc/self/status'),
  ]);
  return {
    hostname: (await readText(host, '/proc/sys/kernel/hostname'))?.trim() || systemHostname(),
    address: defaultAddress((await readText(host, '/proc/net/route')) ?? ''),
    os: parseOsRelease(osRelease ?? ''),
    kernel: kernel?.trim() ?? 'unknown',
    systemd: pid1?.trim() === 'systemd',
    cgroupVersion: (await exists(host, '/sys/fs/cgroup/cgroup.controllers')) ? 2 : 1,
    cpus: cpuinfo?.match(/^processor\s*:/gm)?.length ?? 1,
    memoryBytes: Number(/^MemTotal:\s+(\d+) kB/m.exec(meminfo ?? '')?.[1] ?? 0) * 1024,
    canLowerOomScore: hasCapability(status ?? '', 24),
    uid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status ?? '')?.[1] ?? 0),
  };
}

export function hasCapability(status: string, bit: number): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
}

export function parseOsRelease(text: string): HostFacts['os'] {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  const id = field('ID') || 'linux';
  const like = `${id} ${field('ID_LIKE')}`.split(/\s+/);
  const family = like.some((word) => word === 'debian' || word === 'ubuntu')
    ? 'debian'
    : like.some((word) => ['rhel', 'fedora', 'centos'].includes(word))
      ? 'redhat'
      : 'other';
  return { id, name: field('PRETTY_NAME') || id, versionId: field('VERSION_ID'), family };
}

/** Interfaces whose addresses are the host's own affair. */
const internalInterface = /^(lo|docker|br-|cni|veth|virbr|kinit|flannel|cali|tunl|vxlan)/;

/** The interface of the default route in /proc/net/route with the lowest metric. */
export function defaultInterface(routes: string): string | undefined {
  return routes
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1] === '00000000' && fields[7] === '00000000')
    .sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0];
}

/** All addresses of this host, loopback among them. */
export const interfaceAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));

function defaultAddress(routes: string): string | undefined {
  const all = networkInterfaces();
  const usable = (name: string) =>
    all[name]?.find(
      ({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'),
    )?.address;
  const preferred = defaultInterface(routes);
  const fromRoute = preferred && usable(preferred);
  if (fromRoute) return fromRoute;
  for (const name of Object.keys(all)) {
    const address = internalInterface.test(name) ? undefined : usable(name);
    if (address) return address;
  }
  return undefined;
}
