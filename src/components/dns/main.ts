/** coredns: the cluster's DNS server, driven by a Corefile. */
import { readFile, watch } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import type { InformerFactory } from '../../machinery/informer/types.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { aborted } from '../../machinery/process/pause.ts';
import { type HealthCheck, listenHealth } from '../../machinery/serving/health.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { chain, type Handler } from './chain.ts';
import { absolute, parseCorefile, pluginOrder, type ServerBlock, seconds } from './corefile.ts';
import { cacheHandler, cacheOptions } from './plugins/cache.ts';
import { forwardHandler, upstreamsOf } from './plugins/forward.ts';
import { hostsHandler } from './plugins/hosts.ts';
import { clusterView, kubernetesHandler, kubernetesOptions } from './plugins/kubernetes.ts';
import { loadbalanceHandler } from './plugins/loadbalance.ts';
import { listen } from './server.ts';

let lameduckMs = 0;

/** Upstream's program takes its flags with one dash (`-conf`). */
const argv = process.argv.slice(2).map((word) => word.replace(/^-(?=[a-z.]{2,})/, '--'));

await runComponent(
  {
    name: 'coredns',
    about: 'Serves the names of the cluster, and forwards all others.',
    flags: {
      conf: { kind: 'string', default: 'Corefile', help: 'Path of the Corefile.' },
      'dns.port': { kind: 'string', default: '53', help: 'Port of server blocks that name none.' },
      kubeconfig: { kind: 'string', help: 'Path of a kubeconfig; without it the service account of the pod is used.' },
      v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
    },
    async run(flags, signal) {
      const log = createLogger('coredns', flags.v);
      const text = await readFile(flags.conf, 'utf8');
      const blocks = parseCorefile(text, flags.conf);
      const metrics = new MetricsRegistry();
      processMetrics(metrics);
      const requests = metrics.counter(
        'coredns_dns_requests_total',
        'Counter of DNS requests made per zone, protocol and family.',
      );
      const responses = metrics.counter('coredns_dns_responses_total', 'Counter of response status codes.');
      const duration = metrics.histogram(
        'coredns_dns_request_duration_seconds',
        'Histogram of the time (in seconds) each request took per zone.',
      );

      let factory: InformerFactory | undefined;
      const ready: Record<string, HealthCheck> = {};
      const kubernetes = (block: ServerBlock): Handler[] =>
        block.directives
          .filter((d) => d.name === 'kubernetes')
          .map((directive) => {
            factory ??= createInformerFactory(createClient(apiConfig), (message) => log.warn(message));
            const view = clusterView(factory);
            ready['kubernetes'] = () => (view.synced() ? undefined : 'services and endpoints are not read yet');
            return kubernetesHandler(view, kubernetesOptions(directive));
          });
      const needsApi = blocks.some((block) => block.directives.some((d) => d.name === 'kubernetes'));
      const apiConfig = needsApi ? await clientConfig(flags.kubeconfig, 'coredns') : { server: 'https://unused' };

      for (const block of blocks) {
        const has = (name: string) => block.directives.some((d) => d.name === name);
        const handlers: Handler[] = [];
        for (const name of pluginOrder) {
          for (const directive of block.directives.filter((d) => d.name === name)) {
            if (name === 'loadbalance') handlers.push(loadbalanceHandler());
            else if (name === 'cache') handlers.push(cacheHandler(cacheOptions(directive)));
            else if (name === 'hosts') handlers.push(await hostsHandler(directive));
            else if (name === 'forward') {
              const onError = (message: string) => (has('errors') ? log.warn(`forward: ${message}`) : undefined);
              handlers.push(forwardHandler(absolute(directive.args[0] ?? '.'), await upstreamsOf(directive), onError));
            } else if (name === 'health') {
              await listenHealth(directive.args[0] ?? ':8080', { checks: { '/health': {} } });
              lameduckMs = seconds(directive.properties.find((p) => p.name === 'lameduck')?.args[0], 0) * 1000;
            } else if (name === 'ready')
              await listenHealth(directive.args[0] ?? ':8181', { checks: { '/ready': ready } });
            else if (name === 'prometheus') await listenHealth(directive.args[0] ?? ':9153', { checks: {}, metrics });
            else if (name === 'reload')
              watchCorefile(flags.conf, text, signal, (why) => log.info(why)).catch((error: Error) =>
                log.error(error.message),
              );
          }
          if (name === 'kubernetes') handlers.push(...kubernetes(block));
        }
        const zone = block.zones[0] ?? '.';
        await listen(
          block.port === 53 ? Number(flags['dns.port']) : block.port,
          chain(handlers),
          ({ name, type, code, protocol, seconds: took, client }) => {
            requests.inc({ zone, proto: protocol, type });
            responses.inc({ zone, rcode: code });
            duration.observe(took, { zone });
            if (has('log')) log.info({ client, name, type, code, seconds: took }, 'query');
          },
          (error) => log.error(error.message),
        );
      }
      factory?.start(signal);
      log.info({ blocks: blocks.length }, 'started');
      await aborted(signal);
      // Endpoints still name this server for a moment: go on answering meanwhile.
      await new Promise((resolve) => setTimeout(resolve, lameduckMs));
    },
  },
  argv,
);

/** Ends the process when the Corefile changes to another valid one; the kubelet starts it again with the new one. */
async function watchCorefile(
  path: string,
  current: string,
  signal: AbortSignal,
  say: (why: string) => void,
): Promise<void> {
  try {
    for await (const _change of watch(dirname(path), { signal })) {
      const now = await readFile(path, 'utf8').catch(() => current);
      if (now === current) continue;
      try {
        parseCorefile(now, path);
      } catch (error) {
        say(`the changed Corefile is not used: ${(error as Error).message}`);
        continue;
      }
      say('the Corefile has changed; restarting');
      process.exit(0);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
