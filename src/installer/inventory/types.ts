/** An inventory with all defaults filled in: which machines make a cluster, and how to reach them. */
import type { Documents } from '../config/schema.ts';
import type { Taint } from '../config/types.ts';

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
  /** Absent: the agent and the usual keys of the user are tried. */
  identityFile?: string;
  /** Name of an environment variable. */
  passphraseFromEnv?: string;
  passwordFromEnv?: string;
  /** Public keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`) that the machine must show one of. */
  hostKeys: string[];
  /** Files in OpenSSH's format. */
  knownHosts: string[];
  /** An unknown machine's key is taken and remembered; a changed key never is. */
  acceptHostKeys: boolean;
}

export interface InventoryHost extends SshTarget {
  /** The name in the inventory; the node's name unless `nodeName` is given. */
  name: string;
  connection: 'ssh' | 'local';
  sudo: Sudo;
  bastion?: SshTarget;
  roles: Role[];
  labels: Record<string, string>;
  /** Absent: a control plane that is no worker has its usual taint. */
  taints?: Taint[];
  nodeName: string;
  settings: HostSettings;
}

export interface Inventory {
  path: string;
  cluster: ClusterSettings;
  hosts: InventoryHost[];
}
