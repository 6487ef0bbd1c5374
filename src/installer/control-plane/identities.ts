/** As whom the components of a control plane run: kubeadm's users and groups (its gate RootlessControlPlane). */
import type { ClusterConfiguration, InitConfiguration } from '../config/types.ts';
import { argumentValue } from '../config/validate.ts';
import { AccountProblem, ensureSystemAccounts } from '../host/accounts.ts';
import type { Changes } from '../host/changes.ts';
import { type Host, readText } from '../host/host.ts';
import { manifestPath, type StaticPodName } from '../upgrade/backup.ts';
import { userOf } from './owners.ts';

/** What a manifest says of it. */
export interface Identity {
  uid: number;
  gid: number;
  /** Others that it is in. */
  groups: readonly number[];
}

/** May read sa.key, with which tokens are signed: kube-apiserver and kube-controller-manager. */
export const keyReaders = 'kubeadm-sa-key-readers';

export const componentUsers: Record<StaticPodName, string> = {
  etcd: 'kubeadm-etcd',
  'kube-apiserver': 'kubeadm-kas',
  'kube-controller-manager': 'kubeadm-kcm',
  'kube-scheduler': 'kubeadm-ks',
};

const names = Object.keys(componentUsers) as StaticPodName[];

const readsKey = (name: StaticPodName) => name === 'kube-apiserver' || name === 'kube-controller-manager';

export const gateName = 'RootlessControlPlane';

const settingsOf = (name: StaticPodName, { apiServer, controllerManager, scheduler }: ClusterConfiguration) =>
  ({
    'kube-apiserver': apiServer,
    'kube-controller-manager': controllerManager,
    'kube-scheduler': scheduler,
    etcd: undefined,
  })[name];

/**
 * Why a component runs as root, by the configuration alone; undefined: it need not.
 * Nobody has asked for users where the gate is not named: what might not work without root keeps it.
 */
export function needsRoot(name: StaticPodName, { cluster, localAPIEndpoint }: InitConfiguration): string | undefined {
  const gate = cluster.featureGates[gateName];
  if (gate === false) return `the feature gate ${gateName} is off`;
  const settings = settingsOf(name, cluster);
  if (!settings) return undefined;
  const port = Number(
    argumentValue(settings.extraArgs, 'secure-port') ?? (name === 'kube-apiserver' ? localAPIEndpoint.bindPort : 0),
  );
  if (port > 0 && port < 1024) return `its port ${port} is below 1024`;
  if (gate === undefined && settings.extraVolumes.length) return 'it has extraVolumes that may belong to root';
  return undefined;
}

interface Identities {
  of(name: StaticPodName): Identity;
  changed: boolean;
}

const made = new WeakMap<Changes, Identities>();

/** Makes the users and groups, once in a run. @throws AccountProblem where the host does not let them be made */
async function ensureIdentities(changes: Changes): Promise<Identities> {
  const before = made.get(changes);
  if (before) return before;
  const wanted = names.map((name) => ({
    name: componentUsers[name],
    comment: `${name} of Kubernetes`,
    groups: readsKey(name) ? [keyReaders] : [],
  }));
  const { users, groups, changed } = await ensureSystemAccounts(changes, wanted, [keyReaders]);
  const shared = groups.get(keyReaders)!.id;
  const identities: Identities = {
    of(name) {
      const { id, gid } = users.get(componentUsers[name])!;
      return { uid: id, gid, groups: readsKey(name) ? [shared] : [] };
    },
    changed,
  };
  made.set(changes, identities);
  return identities;
}

/** Makes the users before they are needed. @returns whether any is new; where it cannot be done, the components tell why */
export async function prepareIdentities(changes: Changes): Promise<boolean> {
  try {
    return (await ensureIdentities(changes)).changed;
  } catch (error) {
    if (error instanceof AccountProblem) return false;
    throw error;
  }
}

const goesOnAsRoot = async (name: StaticPodName, host: Host): Promise<boolean> => {
  const present = await readText(host, manifestPath(name));
  return present !== undefined && userOf(present) === 0;
};

/** Whether any component of a new control plane does without root. */
export async function needsUsers(host: Host, config: InitConfiguration): Promise<boolean> {
  const gate = config.cluster.featureGates[gateName];
  for (const name of names)
    if (needsRoot(name, config) === undefined && (gate || !(await goesOnAsRoot(name, host)))) return true;
  return false;
}

export interface IdentityOptions {
  changes: Changes;
  warn(message: string): void;
  /** One that runs as root on this host goes on so, unless the gate is named: only an upgrade changes that by itself. */
  keepsRoot: boolean;
}

/** As whom a component shall run; undefined: as root. */
export async function identityOf(
  name: StaticPodName,
  config: InitConfiguration,
  { changes, warn, keepsRoot }: IdentityOptions,
): Promise<Identity | undefined> {
  const gate = config.cluster.featureGates[gateName];
  if (gate === undefined && keepsRoot && (await goesOnAsRoot(name, changes.host))) return undefined;
  const reason = needsRoot(name, config);
  if (reason !== undefined) {
    if (gate !== false) warn(`${name} runs as root: ${reason}`);
    return undefined;
  }
  try {
    return (await ensureIdentities(changes)).of(name);
  } catch (error) {
    if (gate || !(error instanceof AccountProblem)) throw error;
    warn(`${name} runs as root: ${error.message}${error.details.seen ? ` (${error.details.seen})` : ''}`);
    return undefined;
  }
}
