/** What `kinit status` and `kinit doctor` see, and what they say about it. */
import type { Quorum } from '../etcd/quorum.ts';
import type { MemberStatus } from '../etcd/status.ts';

export interface Service {
  unit: string;
  /** As systemd says: `active`, `inactive`, `failed`, `activating`; `missing` when there is no such unit. */
  state: string;
  enabled: boolean;
  /** How often systemd has started it again. */
  restarts: number;
  /** Of its log; only when it is not active. */
  lastLines: string[];
}

/** A part of Kubernetes that runs on the host and answers health questions on loopback. */
export interface Component {
  name: string;
  healthy: boolean;
  /** The answer, or why there was none. */
  seen: string;
  /** Containers that were started after the first one. */
  restarts: number;
  /** Of its newest container's log; only when it is not healthy. */
  lastLines: string[];
}

export interface Disk {
  path: string;
  /** Of the file system. */
  mount: string;
  usedPercent: number;
  freeBytes: number;
  inodesUsedPercent: number;
}

export interface Certificate {
  name: string;
  /** ISO 8601. */
  expires: string;
}

export interface FileMode {
  path: string;
  /** Octal. */
  mode: string;
  /** The most that it may be. */
  limit: string;
}

export interface FileOwner {
  path: string;
  /** Of the control plane: what cannot do its work with the file as it is. */
  component: string;
  /** Owner and mode, by numbers. */
  seen: string;
  wanted: string;
}

export interface HostObservation {
  hostname: string;
  role: 'control-plane' | 'worker' | 'none';
  nodeName?: string;
  system: string;
  kernel: string;
  kinitVersion: string;
  /** ISO 8601: the host's clock. */
  time: string;
  timeKeeper?: string;
  services: Service[];
  components: Component[];
  /** The container runtime answers on its socket. */
  runtimeAnswers: boolean;
  /** As configured; absent where nothing says so. */
  runtimeCgroupDriver?: string;
  kubeletCgroupDriver?: string;
  swapAllowed: boolean;
  swap: string[];
  disks: Disk[];
  memoryAvailablePercent: number;
  certificates: Certificate[];
  networkConfigured: boolean;
  settings: { key: string; wanted: string; found?: string }[];
  missingModules: string[];
  fileModes: FileMode[];
  /** Absent: an earlier kinit has looked. */
  fileOwners?: FileOwner[];
  /** `firewalld: 10250/tcp kubelet` */
  closedPorts: string[];
  /** Of the member of etcd that runs there. */
  etcdDisk?: EtcdDisk;
}

/** 99 of 100 writes were on the disk within so many milliseconds, since etcd was started. */
export interface EtcdDisk {
  /** Of the log: every change of the cluster waits for it. */
  walMs: number;
  commitMs: number;
}

/** What the members of etcd say, asked from one control plane; also when the API server is silent. */
export interface EtcdObservation {
  external: boolean;
  /** Nobody could be asked. */
  error?: string;
  members: MemberStatus[];
  quorum: Quorum;
  /** At this size it takes no more writes; unknown of an etcd that is elsewhere. */
  quotaBytes?: number;
}

export interface NodeObservation {
  name: string;
  ready: boolean;
  /** Why it is not. */
  message: string;
  unschedulable: boolean;
  roles: string[];
  version: string;
  address: string;
  /** MemoryPressure and the like, when they are true. */
  pressures: string[];
}

export interface PodTrouble {
  namespace: string;
  name: string;
  node: string;
  container: string;
  /** `CrashLoopBackOff`, `ImagePullBackOff`, `Pending`… */
  reason: string;
  message: string;
  restarts: number;
  lastLines: string[];
}

/** What the API server and the cluster's DNS say, seen from one control plane. */
export interface ClusterObservation {
  endpoint: string;
  /** Absent: it answers. */
  apiError?: string;
  version?: string;
  nodes: NodeObservation[];
  pods: { total: number; running: number };
  troubles: PodTrouble[];
  /** Controller-manager and scheduler: who leads, and how old the renewal is. */
  leaders: { component: string; holder?: string; renewedSecondsAgo?: number }[];
  dns: { service?: string; answers: boolean; seen: string };
  pendingRequests: string[];
}

export const fixNames = [
  'service',
  'swap',
  'settings',
  'modules',
  'modes',
  'owners',
  'firewall',
  'etcd-space',
] as const;
export type FixName = (typeof fixNames)[number];

export interface Problem {
  /** The host, or `cluster`. */
  where: string;
  /** Short and stable, for scripts: `service-dead`, `certificate-expired`. */
  id: string;
  level: 'error' | 'warning';
  message: string;
  seen?: string;
  advice: string;
  /** What `--fix` does about it. */
  fix?: FixName;
  /** What is to be fixed: the unit, the file. */
  target?: string;
}

export interface HostReport {
  /** The host's name in the inventory, or its host name. */
  name: string;
  observation?: HostObservation;
  /** It could not be looked at. */
  error?: string;
}

/** What became of a problem that `--fix` took on. */
export interface Fixed {
  problem: Problem;
  /** Absent: it worked. */
  error?: string;
  /** What to do instead, when the error is one that says so. */
  advice?: string;
}

export interface HealthReport {
  /** ISO 8601: when it was complete, by the clock of the host that made it. */
  time: string;
  hosts: HostReport[];
  cluster?: ClusterObservation;
  etcd?: EtcdObservation;
  problems: Problem[];
  /** With `--fix` only. */
  fixed?: Fixed[];
}
