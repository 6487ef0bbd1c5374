/** etcd/local, control-plane/… and wait-control-plane. */

import { parseDuration } from '../config/duration.ts';
import { encryptionFile, manifestsDir } from '../config/paths.ts';
import { ensureAudit } from '../control-plane/audit.ts';
import { identityOf, needsUsers, prepareIdentities } from '../control-plane/identities.ts';
import { type Settling, writeManifest } from '../control-plane/settle.ts';
import { type ControlPlaneName, controlPlaneManifest, flexVolumeFolder } from '../control-plane/static-pods.ts';
import { trustStore, trustStoreMounts } from '../control-plane/volumes.ts';
import { waitForControlPlane } from '../control-plane/wait.ts';
import { etcdManifest, joinedMembers } from '../etcd/static-pod.ts';
import { exists, readText } from '../host/host.ts';
import { patchText } from '../patches/patches.ts';
import { isExternal } from '../pki/external.ts';
import type { StaticPodName } from '../upgrade/backup.ts';
import { certificateNames } from './certs.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';
import { kubeconfigNames } from './kubeconfig.ts';

const files = [...certificateNames, ...kubeconfigNames];

/** Beside the loading of images, since the tools take their time. */
export const usersPhase: Phase<InitContext> = {
  name: 'host/users',
  title: 'Make the users of the control plane',
  background: true,
  needed: ({ host, config }) => needsUsers(host, config),
  run: ({ changes }) => prepareIdentities(changes),
};

export interface ManifestContext extends Pick<InitContext, 'changes' | 'config' | 'patches' | 'warn'> {
  /** Absent: what runs as root on this host goes on so. */
  upgrade?: boolean;
}

const identityFor = ({ changes, config, warn, upgrade = false }: ManifestContext, name: StaticPodName) =>
  identityOf(name, config, { changes, warn, keepsRoot: !upgrade });

/** @param existing the members of etcd that it joins, or joined */
export async function localEtcdManifest(context: ManifestContext, existing?: string): Promise<string> {
  const manifest = etcdManifest(context.config, existing, await identityFor(context, 'etcd'));
  return patchText('etcd', manifest, context.patches);
}

/** The manifest of a component on this host, and what it needs here beside certificates. */
export async function componentManifest(context: ManifestContext, name: ControlPlaneName): Promise<string> {
  const { changes, config, patches } = context;
  // The kubelet makes these two when they are missing; recorded here, so that reset takes them away again.
  if (name === 'kube-apiserver' && !(await exists(changes.host, trustStore))) {
    await changes.journal.record({ kind: 'parent', path: trustStore });
  }
  if (name === 'kube-controller-manager') await changes.folder(flexVolumeFolder);
  const trust = await trustStoreMounts(changes.host);
  const encryption = await exists(changes.host, encryptionFile(config.cluster.certificatesDir));
  const audit = name === 'kube-apiserver' && (await ensureAudit(changes, config.cluster));
  const signs = !(await isExternal(changes.host, config.cluster.certificatesDir, 'ca'));
  const identity = await identityFor(context, name);
  return patchText(name, controlPlaneManifest(name, config, trust, { signs, encryption, audit, identity }), patches);
}

/** For `writeManifest` on this control plane. */
export const settling = ({ changes, admin, config, signal }: SettlingContext): Settling => ({
  changes,
  client: admin,
  nodeName: config.nodeRegistration.name,
  timeoutMs: parseDuration(config.timeouts.controlPlaneComponentHealthCheck) ?? 240_000,
  signal,
});

type SettlingContext = Pick<InitContext, 'changes' | 'admin' | 'config' | 'signal'>;

function controlPlanePhase(name: ControlPlaneName): Phase<InitContext> {
  return {
    name: `control-plane/${name.replace('kube-', '')}`,
    title: `Start ${name}`,
    after: ['host/users', 'images/control-plane', ...files],
    async run(context) {
      return writeManifest(name, await componentManifest(context, name), settling(context));
    },
  };
}

export const controlPlanePhases: Phase<InitContext>[] = [
  {
    name: 'etcd/local',
    title: 'Start etcd',
    after: ['host/users', 'images/etcd', ...files],
    needed: ({ config }) => config.cluster.etcd.external === undefined,
    async run(context) {
      const { changes, config, host } = context;
      await changes.folder(config.cluster.etcd.local.dataDir, 0o700);
      const joined = joinedMembers(await readText(host, `${manifestsDir}/etcd.yaml`));
      return writeManifest('etcd', await localEtcdManifest(context, joined), settling(context));
    },
  },
  controlPlanePhase('kube-apiserver'),
  controlPlanePhase('kube-controller-manager'),
  controlPlanePhase('kube-scheduler'),
  {
    name: 'wait-control-plane',
    title: 'Wait for the API server',
    needed: ({ host }) => !host.dryRun,
    async run({ config, signal, host }) {
      const timeoutMs = parseDuration(config.timeouts.controlPlaneComponentHealthCheck) ?? 240_000;
      await waitForControlPlane(host, config, { timeoutMs, signal }, config.cluster.etcd.local.dataDir);
      return false;
    },
  },
];
