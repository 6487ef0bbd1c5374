/** An inventory with all defaults filled in: which machines make a cluster, and how to reach them. */
import type { Documents } from '../config/schema.ts';
import type { OpenDocument, Taint } from '../config/types.ts';

export type Role = 'control-plane' | 'worker';

export type ClusterSettings = Omit<NonNullable<Documents['ClusterConfiguration']>, 'apiVersion' | 'kind'>;
export type HostSettings = Omit<NonNullable<Documents['HostConfiguration']>, 'apiVersion' | 'kind'>;

/** How to become root: not needed (or not possible), without a password, or with the one in an environment variable. */
export type Sudo = 'none' | 'passwordless' | { passwordFromEnv: string };

/** How to log in to a machine by SSH. */
export interface SshTarget {
  address: string;
  port: number;
  user: string;
  /** Absent: the agent, then `identityFiles` or the usual keys of the user are tried. */
  identityFile?: string;
  /** Keys that the user's SSH configuration names; those that are not there are passed over. */
  identityFiles?: string[];
  /** Certificates beside those that lie next to their keys (`id_ed25519-cert.pub`). */
  certificateFiles?: string[];
  /** Of the agent's keys, only those of the key files. */
  identitiesOnly?: boolean;
  /** The agent's socket instead of $SSH_AUTH_SOCK; empty: no agent. */
  agent?: string;
  /** Name of an environment variable. */
  passphraseFromEnv?: string;
  passwordFromEnv?: string;
  /** Public keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`) that the machine must show one of. */
  hostKeys: string[];
  /** Files in OpenSSH's format. */
  knownHosts: string[];
  hostKeyChecking: HostKeyChecking;
  /** The name under which the key is known, instead of address and port. */
  hostKeyAlias?: string;
  /** Default 15 000. */
  connectTimeoutMs?: number;
  /** How often a silent host is asked whether it is there; default 5 000, 0 is never. */
  aliveIntervalMs?: number;
  /** So many questions without an answer end the connection; default 4. */
  aliveCount?: number;
  /** Reached through this machine. */
  bastion?: SshTarget;
  /** Reached through the input and output of this shell command, instead of a bastion. */
  proxyCommand?: string;
  /** What of the user's SSH configuration is not followed. */
  warnings?: string[];
}

/**
 * What becomes of a host key that is not known: `strict` ends the connection, `accept-new` takes and remembers it, `off`
 * takes every key, also a changed one. A revoked key is never taken.
 */
export type HostKeyChecking = 'strict' | 'accept-new' | 'off';

/** What a user's SSH configuration says of a host. */
export interface SshSettings {
  address?: string;
  port?: number;
  user?: string;
  identityFiles?: string[];
  certificateFiles?: string[];
  identitiesOnly?: boolean;
  agent?: string;
  knownHosts?: string[];
  hostKeyAlias?: string;
  hostKeyChecking?: HostKeyChecking;
  connectTimeoutMs?: number;
  aliveIntervalMs?: number;
  aliveCount?: number;
  /** With `%h`, `%p` and `%r`, that the inventory may say otherwise. */
  proxyCommand?: string;
  /** Lines that kinit does not follow, each as a sentence. */
  warnings?: string[];
  /** `[user@]host[:port]`, in the order in which they are gone through. */
  jump?: string[];
}

export type SshLookup = (address: string) => SshSettings;

export interface InventoryHost extends SshTarget {
  /** The name in the inventory; the node's name unless `nodeName` is given. */
  name: string;
  connection: 'ssh' | 'local';
  sudo: Sudo;
  roles: Role[];
  /** Names of the groups that it is in. */
  groups: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Absent: a control plane that is no worker has its usual taint. */
  taints?: Taint[];
  nodeName: string;
  settings: HostSettings;
}

/**
 * Where hosts get the bundle from: this machine; a host of the run that has it; or as it seems best, which is a host as soon as
 * there is one, or when three or more lack the bundle. What a host cannot get from another one comes from this machine.
 */
export const bundleSources = ['auto', 'workstation', 'hosts'] as const;
export type BundleSource = (typeof bundleSources)[number];

export interface Inventory {
  path: string;
  bundleFrom: BundleSource;
  cluster: ClusterSettings;
  /** Absent: local in a new cluster with several control planes and no controlPlaneEndpoint. */
  endpoint?: HostSettings['endpoint'];
  /** Paths of manifests are as the inventory has them. */
  addons?: HostSettings['addons'];
  /** For all nodes. */
  kubelet?: OpenDocument;
  kubeProxy?: OpenDocument;
  /** On so many hosts at once. */
  parallel?: number;
  hosts: InventoryHost[];
}
