/** kubeconfig/…: one phase per file, as in kubeadm. */
import { basename } from 'node:path';
import { kubernetesDir } from '../config/paths.ts';
import { ensureKubeconfig, type KubeconfigIdentity, kubeconfigIdentities } from '../kubeconfig/kubeconfig.ts';
import { loadAuthority } from '../pki/ensure.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

function kubeconfigPhase(name: string, identity: KubeconfigIdentity): Phase<InitContext> {
  return {
    name: `kubeconfig/${name}`,
    title: `Make ${identity.title}`,
    background: true,
    async run({ changes, config, kubeconfigDir }) {
      const issuer = await loadAuthority(changes.host, config.cluster.certificatesDir, 'ca');
      if (kubeconfigDir !== kubernetesDir) await changes.folder(kubeconfigDir, 0o700);
      const path = `${kubeconfigDir}/${basename(identity.path)}`;
      return ensureKubeconfig(changes, config, { ...identity, path }, issuer);
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
