/** kinit's own HostConfiguration: flags over file over defaults. */
import { isIPv4 } from 'node:net';
import { KinitError } from '../errors.ts';
import { scheduleMistake } from '../etcd/calendar.ts';
import { builtInAddon, builtInAddons, type DeclaredAddon } from './addon-values.ts';
import { defaultEndpointPort, defaultHost, defaultSnapshots } from './defaults.ts';
import type { HostFlags, InitFlags } from './flags.ts';
import type { Documents } from './schema.ts';
import type { EndpointSettings, HostConfiguration, SnapshotSettings } from './types.ts';

type EndpointFlags = Pick<InitFlags, 'endpointMode' | 'virtualIp' | 'addons' | 'disableAddons'>;
type Choose = <T extends string>(flag: string, value: string | undefined, allowed: readonly T[], otherwise: T) => T;

/** @throws KinitError Usage */
export function resolveHost(
  flags: HostFlags & EndpointFlags,
  documents: Documents,
  criSocket: string | undefined,
): HostConfiguration {
  const given = documents.HostConfiguration;
  const choose = <T extends string>(
    flag: string,
    value: string | undefined,
    allowed: readonly T[],
    otherwise: T,
  ): T => {
    if (value === undefined) return otherwise;
    if (!allowed.includes(value as T)) {
      throw new KinitError('Usage', `--${flag} is "${value}"; it takes ${allowed.join(' or ')}`);
    }
    return value as T;
  };
  return {
    swap: choose('swap', flags.swap, ['off', 'keep'], given?.swap ?? defaultHost.swap),
    selinux: choose('selinux', flags.selinux, ['permissive', 'keep'], given?.selinux ?? defaultHost.selinux),
    firewall: choose('firewall', flags.firewall, ['open', 'keep'], given?.firewall ?? defaultHost.firewall),
    cgroupDriver: choose(
      'cgroup-driver',
      flags.cgroupDriver,
      ['auto', 'systemd', 'cgroupfs'],
      given?.cgroupDriver ?? defaultHost.cgroupDriver,
    ),
    snapshotter: choose(
      'snapshotter',
      flags.snapshotter,
      ['auto', 'overlayfs', 'native'],
      given?.snapshotter ?? defaultHost.snapshotter,
    ),
    runtime: choose(
      'runtime',
      flags.runtime,
      ['bundle', 'packages', 'existing'],
      given?.runtime ?? (criSocket === undefined ? defaultHost.runtime : 'existing'),
    ),
    registries: given?.registries ?? [],
    network: {
      backend: choose(
        'network-backend',
        flags.networkBackend,
        ['vxlan', 'host-gw'],
        given?.network?.backend ?? defaultHost.network.backend,
      ),
      ...(given?.network?.mtu ? { mtu: given.network.mtu } : {}),
    },
    storage: {
      provisioner: choose(
        'storage',
        flags.storage,
        ['local-path', 'none'],
        given?.storage?.provisioner ?? defaultHost.storage.provisioner,
      ),
      directory: given?.storage?.directory ?? defaultHost.storage.directory,
    },
    ...resolveAddons(flags, given?.addons),
    sysctl: Object.fromEntries(
      Object.entries(given?.sysctl ?? {}).map(([key, value]) => [
        key.replaceAll('/', '.'),
        String(value).trim().replaceAll(/\s+/g, ' '),
      ]),
    ),
    ...resolveEndpoint(flags, given?.endpoint, choose),
    ...resolveSnapshots(flags, given?.etcd?.snapshots),
  };
}

/** Flags stand in for the entries of the same names. */
function resolveAddons(
  { addons = [], disableAddons = [] }: Pick<InitFlags, 'addons' | 'disableAddons'>,
  given: DeclaredAddon[] | undefined,
): Pick<HostConfiguration, 'addons'> {
  if (!given && !addons.length && !disableAddons.length) return {};
  const word = (flag: string, name: string) => {
    const found = builtInAddon(name);
    if (found) return found;
    throw new KinitError('Usage', `--${flag}: there is no add-on "${name}"`, {
      advice: `the add-ons are: ${builtInAddons.join(', ')}`,
    });
  };
  const flagged = new Map<string, boolean>([
    ...addons.map((name) => [word('addons', name), true] as const),
    ...disableAddons.map((name) => [word('disable-addons', name), false] as const),
  ]);
  const known = (given ?? []).map((addon) => {
    const name = builtInAddon(addon.name) ?? addon.name;
    const enabled = flagged.get(name) ?? addon.enabled;
    return { ...addon, name, ...(enabled === undefined ? {} : { enabled }) };
  });
  const added = [...flagged].filter(([name]) => !known.some((addon) => addon.name === name));
  return { addons: [...known, ...added.map(([name, enabled]) => ({ name, enabled }))] };
}

/** Nothing is said of the endpoint when nobody has said anything. */
function resolveEndpoint(
  { endpointMode, virtualIp }: EndpointFlags,
  given: Partial<EndpointSettings> | undefined,
  choose: Choose,
): Pick<HostConfiguration, 'endpoint'> {
  if (!given && endpointMode === undefined && virtualIp === undefined) return {};
  if (virtualIp !== undefined && !isIPv4(virtualIp))
    throw new KinitError('Usage', `--virtual-ip is "${virtualIp}"; it takes an IPv4 address`);
  const virtualIP = virtualIp ?? given?.virtualIP;
  return {
    endpoint: {
      mode: choose('endpoint-mode', endpointMode, ['local', 'shared'], given?.mode ?? 'shared'),
      port: given?.port ?? defaultEndpointPort,
      ...(virtualIP ? { virtualIP } : {}),
      ...(given?.interface ? { interface: given.interface } : {}),
    },
  };
}

/** Nothing is said of snapshots when nobody has said anything. */
function resolveSnapshots(
  { etcdSnapshotSchedule, etcdSnapshotKeep, etcdSnapshotDirectory }: HostFlags,
  given: Partial<SnapshotSettings> | undefined,
): Pick<HostConfiguration, 'etcd'> {
  if (!given && [etcdSnapshotSchedule, etcdSnapshotKeep, etcdSnapshotDirectory].every((flag) => flag === undefined)) {
    return {};
  }
  const mistake = etcdSnapshotSchedule === undefined ? '' : scheduleMistake(etcdSnapshotSchedule);
  if (mistake) throw new KinitError('Usage', `--etcd-snapshot-schedule: ${mistake}`);
  if (etcdSnapshotKeep !== undefined && !/^[1-9]\d{0,3}$/.test(etcdSnapshotKeep)) {
    throw new KinitError('Usage', `--etcd-snapshot-keep is "${etcdSnapshotKeep}"; it takes a number from 1`);
  }
  if (etcdSnapshotDirectory !== undefined && !/^\/[A-Za-z0-9._/-]+$/.test(etcdSnapshotDirectory)) {
    throw new KinitError('Usage', `--etcd-snapshot-directory is "${etcdSnapshotDirectory}"; it takes an absolute path`);
  }
  return {
    etcd: {
      snapshots: {
        ...defaultSnapshots,
        ...given,
        ...(etcdSnapshotSchedule === undefined ? {} : { schedule: etcdSnapshotSchedule }),
        ...(etcdSnapshotKeep === undefined ? {} : { keep: Number(etcdSnapshotKeep) }),
        ...(etcdSnapshotDirectory === undefined ? {} : { directory: etcdSnapshotDirectory }),
      },
    },
  };
}
