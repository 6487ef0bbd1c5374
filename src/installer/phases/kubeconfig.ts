/** kubeconfig/…: one phase per file, as in kubeadm. */
import { basename } from 'node:path';
import { kubernetesDir } from '../config/paths.ts';
import { settled } from '../control-plane/owners.ts';
import { ensureKubeconfig, type KubeconfigIdentity, kubeconfigIdentities } from '../kubeconfig/kubeconfig.ts';
import { isExternal } from '../pki/external.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

function kubeconfigPhase(name: string, identity: KubeconfigIdentity): Phase<InitContext> {
  return {
    name: `kubeconfig/${name}`,
    title: `Make ${identity.title}`,
    background: true,
    // Where the authority's key is elsewhere, a super administrator is not asked for.
    needed: async ({ host, config }) =>
      identity !== kubeconfigIdentities.superAdmin || !(await isExternal(host, config.cluster.certificatesDir, 'ca')),
    async run({ changes, config, kubeconfigDir }) {
      if (kubeconfigDir !== kubernetesDir) await changes.folder(kubeconfigDir, 0o700);
      const path = `${kubeconfigDir}/${basename(identity.path)}`;
      return settled(changes, ensureKubeconfig(changes, config, { ...identity, path }));
    },
  };
}

export const kubeconfigPhases: Phase<InitContext>[] = [
  kubeconfigPhase('admin', kubeconfigIdentities.admin),
  kubeconfigPhase('super-admin', kubeconfigIdentities.superAdmin),
  kubeconfigPhase('kubelet', kubeconfigIdentities.kubelet),
  kubeconfigPhase('controller-manager', kubeconfigIdentities.controllerManager),
  kubeconfigPhase('scheduler', kubeconfigIdentities.scheduler),
];

export const kubeconfigNames = kubeconfigPhases.map(({ name }) => name);
