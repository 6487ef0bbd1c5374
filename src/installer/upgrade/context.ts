/** What the phases of an upgrade work with. */
import type { Client } from '../../machinery/client/types.ts';
import type { InitConfiguration, Timeouts } from '../config/types.ts';
import type { PatchFile } from '../patches/patches.ts';
import type { PhaseContext } from '../phases/engine.ts';
import type { StoredCluster } from './configuration.ts';
import type { Beginning, UpgradeState } from './state.ts';

export interface UpgradeSettings {
  /** `--certificate-renewal` */
  certificateRenewal: boolean;
  /** `--etcd-upgrade` */
  etcdUpgrade: boolean;
  /** `--force`: version rules that may be passed over are. */
  force: boolean;
  allowExperimental: boolean;
  allowReleaseCandidate: boolean;
  ignorePreflightErrors: string[];
  timeouts: Timeouts;
}

export interface UpgradeContext extends PhaseContext {
  kind: 'apply' | 'node';
  settings: UpgradeSettings;
  patches: readonly PatchFile[];
  beginning: Beginning['kind'];
  state: UpgradeState;
  nodeName: string;
  /** The cluster's version before. */
  clusterVersion: string;
  /** Only of a control plane. */
  plane?: { config: InitConfiguration; stored: StoredCluster };
  /** Found by the first add-on's phase: why the add-ons are left for later, or that they are not. */
  addonsWait?: { reason: string; advice: string } | 'no';
  /** As the administrator on a control plane, as the node on a worker. */
  client(): Promise<Client>;
}

/** A phase that only control planes have. */
export const planeOf = ({ plane }: UpgradeContext): NonNullable<UpgradeContext['plane']> => {
  if (!plane) throw new Error('this phase is of control planes alone');
  return plane;
};
