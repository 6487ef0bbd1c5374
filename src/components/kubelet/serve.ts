/** The kubelet's server on 10250: its certificate, and what colleagues of the kubelet may ask. */
import type { Client } from '../../machinery/client/types.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import type { MetricsRegistry } from '../../machinery/serving/metrics.ts';
import { servingCertificate } from './certificates/serving.ts';
import type { Configuration } from './config/settings.ts';
import type { Runtime } from './cri/runtime.ts';
import type { KubeletView, Prober } from './types.ts';

export async function serve(options: {
  configuration: Configuration;
  nodeName: string;
  rootDir: string;
  certDir: string;
  client: Client | undefined;
  view: KubeletView;
  runtime: Runtime;
  metrics: MetricsRegistry;
  hosts: string[];
  prober: Prober;
  driver: 'cgroupfs' | 'systemd';
  log: Logger;
}): Promise<{ close(): Promise<void> } | undefined> {
  const { configuration, certDir, nodeName, hosts } = options;
  if (!configuration.enableServer) return undefined;
  const given = configuration.tlsCertFile && configuration.tlsPrivateKeyFile;
  if (!given) await servingCertificate(certDir, nodeName, hosts);
  return undefined;
}
