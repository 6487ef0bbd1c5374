/** kubelet: runs the pods of this node by way of a container runtime, and tells the cluster how they and the node are. */
import { mkdir } from 'node:fs/promises';
import { createClient } from '../../machinery/client/client.ts';
import type { Client } from '../../machinery/client/types.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { clientCredentials } from './certificates/client.ts';
import { loadConfiguration } from './config/configuration.ts';
import { configurationOverrides, kubeletFlags, type OwnFlags } from './config/flags.ts';
import { runKubelet } from './kubelet.ts';
import { nodeNameOf } from './node/addresses.ts';

await runComponent({
  name: 'kubelet',
  about: 'The node agent: runs the pods that are bound to this node, and those of a folder of manifests.',
  flags: kubeletFlags,
  async run(values, signal, given) {
    const flags = values as unknown as OwnFlags;
    const log = createLogger('kubelet', flags.v);
    const { configuration, warnings } = await loadConfiguration(
      flags.config,
      flags['config-dir'],
      configurationOverrides(values, given),
    );
    for (const warning of warnings) log.warn(warning);
    const nodeName = nodeNameOf(flags['hostname-override']);
    await mkdir(flags['root-dir'], { recursive: true, mode: 0o750 });
    let client: Client | undefined;
    if (flags.kubeconfig) {
      const config = await clientCredentials({
        kubeconfig: flags.kubeconfig,
        bootstrapKubeconfig: flags['bootstrap-kubeconfig'],
        certDir: flags['cert-dir'],
        nodeName,
        rotate: configuration.rotateCertificates,
        log,
        signal,
      });
      if (signal.aborted) return;
      client = createClient({ ...config, userAgent: 'kubelet' });
    }
    await runKubelet(
      {
        configuration,
        nodeName,
        nodeIp: flags['node-ip'],
        nodeLabels: flags['node-labels'] ?? {},
        rootDir: flags['root-dir'],
        certDir: flags['cert-dir'],
        cloudProvider: flags['cloud-provider'],
        client,
        log,
      },
      signal,
    );
  },
});
