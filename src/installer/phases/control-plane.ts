/** etcd/local, control-plane/… and wait-control-plane. */

import { parseDuration } from '../config/duration.ts';
import { encryptionFile, manifestsDir } from '../config/paths.ts';
import { ensureAudit } from '../control-plane/audit.ts';
import { type ControlPlaneName, controlPlaneManifest, flexVolumeFolder } from '../control-plane/static-pods.ts';
import { trustStore, trustStoreMounts } from '../control-plane/volumes.ts';
import { waitForControlPlane } from '../control-plane/wait.ts';
import { etcdManifest } from '../etcd/static-pod.ts';
import { exists } from '../host/host.ts';
import { patchText } from '../patches/patches.ts';
import { isExternal } from '../pki/external.ts';
import { certificateNames } from './certs.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';
import { kubeconfigNames } from './kubeconfig.ts';

const files = [...certificateNames, ...kubeconfigNames];

/** The manifest of a component on this host, and what it needs here beside certificates. */
export async function componentManifest(
  { changes, config, patches }: Pick<InitContext, 'changes' | 'config' | 'patches'>,
  name: ControlPlaneName,
): Promise<string> {
  // The kubelet makes these two when they are missing; recorded here, so that reset takes them away again.
  if (name === 'kube-apiserver' && !(await exists(changes.host, trustStore))) {
    await changes.journal.record({ kind: 'parent', path: trustStore });
  }
  if (name === 'kube-controller-manager') await changes.folder(flexVolumeFolder);
  const trust = await trustStoreMounts(changes.host);
  const encryption = await exists(changes.host, encryptionFile(config.cluster.certificatesDir));
  const audit = name === 'kube-apiserver' && (await ensureAudit(changes, config.cluster));
  const signs = !(await isExternal(changes.host, config.cluster.certificatesDir, 'ca'));
  return patchText(name, controlPlaneManifest(name, config, trust, { signs, encryption, audit }), patches);
}

function controlPlanePhase(name: ControlPlaneName): Phase<InitContext> {
  return {
    name: `control-plane/${name.replace('kube-', '')}`,
    title: `Start ${name}`,
    after: ['images/control-plane', ...files],
    async run(context) {
      const manifest = await componentManifest(context, name);
      return context.changes.file(`${manifestsDir}/${name}.yaml`, manifest, { mode: 0o600 });
    },
  };
}

export const controlPlanePhases: Phase<InitContext>[] = [
  {
    name: 'etcd/local',
    title: 'Start etcd',
    after: ['images/etcd', ...files],
    needed: ({ config }) => config.cluster.etcd.external === undefined,
    async run({ changes, config, patches }) {
      await changes.folder(config.cluster.etcd.local.dataDir, 0o700);
      return changes.file(`${manifestsDir}/etcd.yaml`, patchText('etcd', etcdManifest(config), patches), {
        mode: 0o600,
      });
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
      await waitForControlPlane(host, config, { timeoutMs, signal });
      return false;
    },
  },
];
