/** metrics-server: collects what nodes and pods use from the kubelets and serves it as metrics.k8s.io, for kubectl top. */
import type { KubeObject } from '../../machinery/api/types.ts';
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import { nodes as nodeType, pods as podType } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { pause } from '../../machinery/process/pause.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { startServing } from '../../machinery/serving/server.ts';
import { flags } from './flags.ts';
import { createKubelets } from './kubelets.ts';
import { createMetricsApi, resourceAttributes } from './metrics-api.ts';
import { createUsageStore } from './usage.ts';

const component = 'metrics-server';
const shortestResolutionMs = 10_000;

/** Names and labels are all that is served of an object. */
const named = ({ metadata }: KubeObject): KubeObject => {
  const { name, namespace, labels } = metadata ?? {};
  return {
    metadata: { ...(name ? { name } : {}), ...(namespace ? { namespace } : {}), ...(labels ? { labels } : {}) },
  };
};

await runComponent({
  name: component,
  about: 'Collects what nodes and pods use from the kubelets and serves it as metrics.k8s.io/v1beta1.',
  flags,
  async run(values, signal) {
    const log = createLogger(component, values.v);
    const resolutionMs = values['metric-resolution'];
    const timeoutMs = values['kubelet-request-timeout'];
    if (resolutionMs < shortestResolutionMs)
      throw new Error(`--metric-resolution: ${resolutionMs / 1000}s is less than ${shortestResolutionMs / 1000}s`);
    if (timeoutMs >= resolutionMs)
      throw new Error('--kubelet-request-timeout has to be shorter than --metric-resolution');
    const { kubeconfig } = values;
    const config = await clientConfig(kubeconfig, component);
    const client = createClient(config);
    const otherClient = async (path: string | undefined): Promise<Client> =>
      !path || path === kubeconfig ? client : createClient(await clientConfig(path, component));

    const selector = values['node-selector'];
    const informers = createInformerFactory(client, (message) => log.warn(message));
    const nodes = informers.informer(nodeType, {
      ...(selector ? { labelSelector: selector } : {}),
      transform: (node) => ({ ...named(node), ...('status' in node ? { status: addressesOf(node.status) } : {}) }),
    });
    const pods = informers.informer<KubeObject>({ ...podType, metadataOnly: true }, { transform: named });

    const kubelets = createKubelets({
      credentials: config,
      insecureTls: values['kubelet-insecure-tls'],
      certificateAuthorityFile: values['kubelet-certificate-authority'],
      port: values['kubelet-port'],
      useNodeStatusPort: values['kubelet-use-node-status-port'],
      addressTypes: values['kubelet-preferred-address-types'],
      timeoutMs,
    });
    const usage = createUsageStore(resolutionMs);
    let lastRound = Date.now();

    const metrics = new MetricsRegistry();
    processMetrics(metrics);
    const requests = metrics.counter('metrics_server_kubelet_request_total', 'Scrapes of kubelets, by their success.');
    const checks = { ping: () => undefined };
    const timely = () =>
      Date.now() - lastRound > 2 * resolutionMs + timeoutMs ? 'metrics are not collected in time' : undefined;
    const synced = () => (nodes.hasSynced && pods.hasSynced ? undefined : 'informers not yet synced');
    const serving = await startServing({
      bindAddress: values['bind-address'],
      port: values['secure-port'],
      tlsMinVersion: values['tls-min-version'],
      tlsCipherSuites: values['tls-cipher-suites'],
      ...(values['tls-cert-file'] ? { certFile: values['tls-cert-file'] } : {}),
      ...(values['tls-private-key-file'] ? { keyFile: values['tls-private-key-file'] } : {}),
      checks: {
        '/healthz': checks,
        '/livez': { ...checks, 'metric-collection-timely': timely },
        '/readyz': {
          ...checks,
          'metric-informer-sync': synced,
          'metric-storage-ready': () => (usage.ready ? undefined : 'no metrics to serve'),
        },
      },
      metrics,
      auth: {
        authentication: await otherClient(values['authentication-kubeconfig']),
        authorization: await otherClient(values['authorization-kubeconfig']),
        alwaysAllowPaths: values['authorization-always-allow-paths'],
        attributes: resourceAttributes,
      },
      handler: createMetricsApi({ usage, nodes: nodes.store, pods: pods.store }),
    });
    log.info({ port: serving.port }, 'serving');

    informers.start(signal);
    await informers.synced(signal);
    while (!signal.aborted) {
      const started = Date.now();
      const round = await kubelets.scrape(nodes.store.list(), (node, problem) =>
        log.warn({ node, problem }, 'a kubelet could not be asked for its metrics'),
      );
      requests.inc({ success: 'true' }, round.size);
      requests.inc({ success: 'false' }, nodes.store.keys().length - round.size);
      usage.add(round);
      lastRound = Date.now();
      await pause(Math.max(0, started + resolutionMs - Date.now()), signal);
    }
    kubelets.close();
    await serving.close();
    client.close();
  },
});

/** Where its kubelet is. */
function addressesOf(status: unknown): object {
  const { addresses, daemonEndpoints } = (status ?? {}) as { addresses?: unknown; daemonEndpoints?: unknown };
  return { addresses, daemonEndpoints };
}
