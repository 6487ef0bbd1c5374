/** From what was seen on a host to what is wrong with it. Each judge knows one thing. */
import { etcdDataDir } from '../config/paths.ts';
import type { HostObservation, Problem } from './types.ts';

type Found = Omit<Problem, 'where'>;
type Judge = (host: HostObservation, now: Date) => Found[];

/** A certificate is told of this many days before its end. */
export const expiryWarningDays = 30;
const dayMs = 86_400_000;

const services: Judge = ({ services: all, role }) =>
  role === 'none'
    ? []
    : all
        .filter(({ state, unit }) => state !== 'active' && !(unit === 'containerd.service' && state === 'missing'))
        .map(({ unit, state, lastLines }) => ({
          id: 'service-dead',
          level: 'error',
          message: `${unit} is ${state}`,
          ...(lastLines.length ? { seen: lastLines.join('\n') } : {}),
          advice: state === 'missing' ? 'run kinit init or kinit join again' : `start it: systemctl start ${unit}`,
          ...(state === 'missing' ? {} : { fix: 'service', target: unit }),
        }));

const disabledServices: Judge = ({ services: all, role }) =>
  role === 'none'
    ? []
    : all
        .filter(({ state, enabled }) => state === 'active' && !enabled)
        .map(({ unit }) => ({
          id: 'service-not-enabled',
          level: 'warning',
          message: `${unit} runs, but will not after a reboot`,
          advice: `systemctl enable ${unit}`,
          fix: 'service',
          target: unit,
        }));

const restarts: Judge = ({ services: all }) =>
  all
    .filter(({ restarts: count, state }) => state === 'active' && count >= 5)
    .map(({ unit, restarts: count }) => ({
      id: 'service-restarts',
      level: 'warning',
      message: `systemd has started ${unit} ${count} times again`,
      advice: `look at: journalctl -u ${unit}`,
    }));

const runtime: Judge = ({ role, runtimeAnswers, services: all }) =>
  role !== 'none' &&
  !runtimeAnswers &&
  all.some(({ unit, state }) => unit === 'containerd.service' && state === 'active')
    ? [
        {
          id: 'runtime-silent',
          level: 'error',
          message: 'containerd runs but does not answer on its socket',
          advice: 'look at: journalctl -u containerd -n 50; then systemctl restart containerd',
        },
      ]
    : [];

const adviceFor = (component: string): string => {
  if (component === 'kubelet') return 'look at: journalctl -u kubelet -n 50';
  if (component === 'kinit-balancer')
    return 'no API server can be reached from here: look at the control planes, and at journalctl -u kinit-balancer -n 50';
  return `look at /var/log/pods/kube-system_${component}*; the kubelet starts it again by itself`;
};

const components: Judge = ({ components: all, services: units }) =>
  all
    .filter(({ healthy }) => !healthy)
    // Of a service that does not run it has been said already.
    .filter(({ name }) => !units.some(({ unit, state }) => unit === `${name}.service` && state !== 'active'))
    .map(({ name, seen, restarts: count, lastLines }) => ({
      id: 'component-unhealthy',
      level: 'error',
      message: `${name} is not healthy${count ? `; it was started ${count} times again` : ''}`,
      seen: [seen, ...lastLines].join('\n'),
      advice: adviceFor(name),
    }));

const cgroups: Judge = ({ runtimeCgroupDriver, kubeletCgroupDriver }) =>
  runtimeCgroupDriver && kubeletCgroupDriver && runtimeCgroupDriver !== kubeletCgroupDriver
    ? [
        {
          id: 'cgroup-driver',
          level: 'error',
          message: `containerd uses the cgroup driver ${runtimeCgroupDriver}, the kubelet ${kubeletCgroupDriver}`,
          advice:
            'make them the same in /etc/containerd/config.toml and /var/lib/kubelet/config.yaml, and restart both',
        },
      ]
    : [];

const swap: Judge = ({ swap: devices, swapAllowed, role }) =>
  devices.length && !swapAllowed && role !== 'none'
    ? [
        {
          id: 'swap-on',
          level: 'error',
          message: `swap is on again: ${devices.join(', ')}`,
          advice: 'swapoff -a, and take it out of /etc/fstab; the kubelet does not start with swap',
          fix: 'swap',
        },
      ]
    : [];

/** The kubelet evicts pods from 85 to 90 percent on. */
const disks: Judge = ({ disks: all }) => {
  const byMount = new Map(all.map((disk) => [disk.mount, disk]));
  return [...byMount.values()].flatMap(({ mount, usedPercent, inodesUsedPercent, freeBytes }): Found[] => {
    const inodes = inodesUsedPercent >= usedPercent && inodesUsedPercent >= 85;
    const used = inodes ? inodesUsedPercent : usedPercent;
    if (used < 85) return [];
    const free = `${(freeBytes / 1e9).toFixed(1)} GB free`;
    const there = all.filter((disk) => disk.mount === mount).map(({ path }) => path);
    const etcd = there.includes(etcdDataDir)
      ? '; etcd, and the API server with it, ends when it cannot write there, and comes back by itself when it can'
      : '';
    const advice = there.every((path) => path === etcdDataDir)
      ? 'remove what is not etcd’s there, or make the file system larger'
      : 'remove what is not needed; unused images go with: kinit images prune';
    return [
      {
        id: 'disk-full',
        level: used >= 95 ? 'error' : 'warning',
        message: `${mount} is ${used} % full${inodes ? ' of files (inodes)' : ` (${free})`}`,
        advice: `${advice}${etcd}`,
      },
    ];
  });
};

const memory: Judge = ({ memoryAvailablePercent }) =>
  memoryAvailablePercent < 5
    ? [
        {
          id: 'memory-low',
          level: 'warning',
          message: `only ${memoryAvailablePercent} % of the memory is available`,
          advice: 'kubectl top pods -A, or: ps aux --sort=-rss | head',
        },
      ]
    : [];

const certificates: Judge = ({ certificates: all }, now) =>
  all.flatMap(({ name, expires }): Found[] => {
    const days = Math.floor((new Date(expires).getTime() - now.getTime()) / dayMs);
    if (days >= expiryWarningDays) return [];
    const advice =
      name === 'kubelet.conf'
        ? 'the kubelet renews it by itself while the API server answers; otherwise kinit reset and kinit join'
        : `kinit certs renew ${name}, then restart the control plane's pods`;
    return days < 0
      ? [
          {
            id: 'certificate-expired',
            level: 'error',
            message: `the certificate ${name} expired on ${expires}`,
            advice,
          },
        ]
      : [
          {
            id: 'certificate-expires',
            level: 'warning',
            message: `the certificate ${name} expires in ${days} days`,
            advice,
          },
        ];
  });

const network: Judge = ({ networkConfigured, role }) =>
  role !== 'none' && !networkConfigured
    ? [
        {
          id: 'network-missing',
          level: 'error',
          message: 'there is no pod network: /etc/cni/net.d has no configuration',
          advice: 'look at the pod kinit-network of this node: kubectl -n kube-system get pods -o wide',
        },
      ]
    : [];

const settings: Judge = ({ settings: all, role }) =>
  role === 'none'
    ? []
    : all
        .filter(({ wanted, found }) => found !== wanted)
        .map(({ key, wanted, found }) => ({
          id: 'sysctl',
          level: 'error',
          message: `${key} is ${found ?? 'not there'}; pods need ${wanted}`,
          advice: `sysctl -w ${key}=${wanted}`,
          fix: 'settings',
        }));

const modules: Judge = ({ missingModules, role }) =>
  role === 'none'
    ? []
    : missingModules.map((name) => ({
        id: 'module-missing',
        level: 'error',
        message: `the kernel module ${name} is not loaded`,
        advice: `modprobe ${name}`,
        fix: 'modules',
      }));

const clock: Judge = ({ timeKeeper }) =>
  timeKeeper
    ? []
    : [
        {
          id: 'clock-unkept',
          level: 'warning',
          message: 'nothing keeps the clock of this host',
          advice: 'install and start chrony or systemd-timesyncd',
        },
      ];

const modes: Judge = ({ fileModes }) =>
  fileModes.map(({ path, mode, limit }) => ({
    id: 'file-mode',
    level: 'warning',
    message: `${path} has mode ${mode}; at most ${limit} is meant`,
    advice: `chmod ${limit} ${path}`,
    fix: 'modes',
    target: path,
  }));

const owners: Judge = ({ fileOwners = [] }) =>
  fileOwners.map(({ path, component, seen, wanted }) => ({
    id: 'file-owner',
    level: 'error',
    message: `${component} cannot use ${path}, since it does not run as root`,
    seen: `${seen}; ${wanted} is meant`,
    advice: 'give it to its user (docs/hardening.md has the table)',
    fix: 'owners',
    target: path,
  }));

const firewall: Judge = ({ closedPorts }) =>
  closedPorts.length
    ? [
        {
          id: 'firewall',
          level: 'error',
          message: 'the firewall keeps ports closed that the cluster needs',
          seen: closedPorts.join('\n'),
          advice: 'open them',
          fix: 'firewall',
        },
      ]
    : [];

/** Every change of the cluster waits for etcd's log, and its members for each other's words every 100 ms. */
const slowDiskMs = 100;

const etcdDisk: Judge = ({ etcdDisk: disk }) =>
  disk && Math.max(disk.walMs, disk.commitMs) > slowDiskMs
    ? [
        {
          id: 'etcd-disk-slow',
          level: 'warning',
          message: 'the disk is slow for etcd',
          seen: `99 of 100 writes of its log take up to ${Math.round(disk.walMs)} ms, commits up to ${Math.round(disk.commitMs)} ms`,
          advice:
            'give /var/lib/etcd a disk of its own (SSD); look at who else writes: iotop; try it again with: kinit etcd status',
        },
      ]
    : [];

/** What makes others fail comes first. */
const judges: readonly Judge[] = [
  disks,
  services,
  disabledServices,
  restarts,
  runtime,
  components,
  cgroups,
  swap,
  memory,
  certificates,
  network,
  settings,
  modules,
  clock,
  modes,
  owners,
  firewall,
  etcdDisk,
];

export function judgeHost(name: string, host: HostObservation, now = new Date()): Problem[] {
  return judges.flatMap((judge) => judge(host, now)).map((problem) => ({ where: name, ...problem }));
}
