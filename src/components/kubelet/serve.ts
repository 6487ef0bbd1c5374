/** The kubelet's server on 10250: its certificate, and what colleagues of the kubelet may ask. */
import type { Client } from '../../machinery/client/types.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import type { MetricsRegistry } from '../../machinery/serving/metrics.ts';
import { servingCertificate } from './certificates/serving.ts';
import { keepServingCertificate } from './certificates/serving-request.ts';
import type { Configuration } from './config/settings.ts';
import type { Runtime } from './cri/runtime.ts';
import { startServer } from './server/server.ts';
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
  signal: AbortSignal;
}): Promise<{ close(): Promise<void> } | undefined> {
  const { configuration, certDir, nodeName, hosts, client } = options;
  if (!configuration.enableServer) return undefined;
  const given = configuration.tlsCertFile && configuration.tlsPrivateKeyFile;
  const files = given
    ? { certFile: configuration.tlsCertFile, keyFile: configuration.tlsPrivateKeyFile }
    : await servingCertificate(certDir, nodeName, hosts);
  // Until the first signed one is approved, what is self-signed has to do.
  let signed: { cert: string; key: string } | undefined;
  const requested = !given && configuration.serverTLSBootstrap;
  if (requested && client) {
    const onCertificate = (certificate: { cert: string; key: string }) => {
      signed = certificate;
    };
    const { log, signal } = options;
    void keepServingCertificate({ client, certDir, nodeName, hosts, onCertificate, log, signal });
  }
  const clientCaFile = configuration['authentication.x509.clientCAFile'];
  const webhook = configuration['authentication.webhook.enabled'] && client;
  return startServer({
    address: configuration.address,
    port: configuration.port,
    tls: {
      ...files,
      ...(requested ? { current: () => signed } : {}),
      hosts,
      ...(configuration.tlsMinVersion ? { minVersion: configuration.tlsMinVersion } : {}),
      ...(configuration.tlsCipherSuites.length ? { cipherSuites: configuration.tlsCipherSuites } : {}),
    },
    auth: {
      ...(clientCaFile ? { clientCaFile } : {}),
      anonymous: configuration['authentication.anonymous.enabled'],
      ...(webhook ? { client: webhook } : {}),
      mode: configuration['authorization.mode'] === 'AlwaysAllow' ? 'AlwaysAllow' : 'Webhook',
      authorizedTtlMs: configuration['authorization.webhook.cacheAuthorizedTTL'],
      unauthorizedTtlMs: configuration['authorization.webhook.cacheUnauthorizedTTL'],
      tokenTtlMs: configuration['authentication.webhook.cacheTTL'],
    },
    view: options.view,
    runtime: options.runtime,
    metrics: options.metrics,
    configuration: () => nested(configuration),
    rootDir: options.rootDir,
    podLogsDir: configuration.podLogsDir,
    podsCgroup: podsCgroup(options.driver, configuration.cgroupRoot),
    debuggingHandlers: configuration.enableDebuggingHandlers,
    systemLogHandler: configuration.enableSystemLogHandler,
    prober: options.prober,
    onError: (message) => options.log.warn(message),
  });
}

/** The group that holds all pods. */
const podsCgroup = (driver: 'cgroupfs' | 'systemd', root: string): string =>
  `${root.replace(/\/$/, '')}/${driver === 'systemd' ? 'kubepods.slice' : 'kubepods'}`;

/** `a.b: 1` → `a: {b: 1}`, as in the file. */
function nested(configuration: Configuration): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(configuration)) {
    if (value === undefined) continue;
    const parts = path.split('.');
    const last = parts.pop() ?? '';
    let place = document;
    for (const part of parts) {
      const inner = (place[part] ?? {}) as Record<string, unknown>;
      place[part] = inner;
      place = inner;
    }
    place[last] = value;
  }
  return document;
}
