/** kubelet-start and kubelet-finalize of a control plane. */

import { kubeconfigPaths, kubeletPaths, manifestsDir } from '../config/paths.ts';
import { exists } from '../host/host.ts';
import { useRotatedCertificate } from '../kubeconfig/rotated.ts';
import { instanceKubeletConfig, kubeletFlags, startKubelet } from '../runtime/kubelet.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

export const kubeletStart: Phase<InitContext> = {
  name: 'kubelet-start',
  title: 'Start the kubelet',
  after: ['runtime/install', 'runtime/existing', 'kubeconfig/kubelet'],
  async run({ changes, config, node, facts, kubeletConfig, cgroupDriver, hostSettings, patches }) {
    await changes.folder(manifestsDir);
    return startKubelet(changes, {
      cluster: kubeletConfig,
      instance: instanceKubeletConfig(node, cgroupDriver, facts, hostSettings.swap === 'keep'),
      flags: kubeletFlags({
        node,
        facts,
        nodeAddress: config.localAPIEndpoint.advertiseAddress,
        registerTaints: false,
      }),
      facts,
      patches,
      storageDirectory: hostSettings.storage.directory,
    });
  },
};

export const kubeletFinalize: Phase<InitContext> = {
  name: 'kubelet-finalize',
  title: "Let the kubelet's certificate be rotated",
  needed: ({ host }) => exists(host, kubeletPaths.clientCertificate),
  run: ({ changes }) => useRotatedCertificate(changes, kubeconfigPaths.kubelet),
};
