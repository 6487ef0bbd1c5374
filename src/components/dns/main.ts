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
import { layoutOf, type Serving, servingOf } from './blocks.ts';
import type { Handler } from './chain.ts';
import { type Directive, parseCorefile, type ServerBlock, seconds } from './corefile.ts';
import { clusterView, kubernetesHandler, kubernetesOptions } from './plugins/kubernetes.ts';
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
      const needsApi = blocks.some((block) => block.directives.some((d) => d.name === 'kubernetes'));
      const apiConfig = needsApi ? await clientConfig(flags.kubeconfig, 'coredns') : { server: 'https://unused' };
      let view: ReturnType<typeof clusterView> | undefined;
      const kubernetes = (directive: Directive): Handler => {
        factory ??= createInformerFactory(createClient(apiConfig), (message) => log.warn(message));
        view ??= clusterView(factory);
        const { synced } = view;
        ready['kubernetes'] = () => (synced() ? undefined : 'services and endpoints are not read yet');
        return kubernetesHandler(view, kubernetesOptions(directive));
      };
      const servings = (these: readonly ServerBlock[]) =>
        Promise.all(these.map((block) => servingOf(block, log, kubernetes)));

      let serving = await servings(blocks);
      for (const [index, block] of blocks.entries()) {
        const current = () => serving[index] as Serving;
        for (const { name, args, properties } of block.directives) {
          if (name === 'health') {
            await listenHealth(args[0] ?? ':8080', { checks: { '/health': {} } });
            lameduckMs = seconds(properties.find((p) => p.name === 'lameduck')?.args[0], 0) * 1000;
          } else if (name === 'ready') await listenHealth(args[0] ?? ':8181', { checks: { '/ready': ready } });
          else if (name === 'prometheus') await listenHealth(args[0] ?? ':9153', { checks: {}, metrics });
        }
        await listen(
          block.port === 53 ? Number(flags['dns.port']) : block.port,
          (query) => current().answer(query),
          ({ name, type, code, protocol, seconds: took, client }) => {
            const { zone, logs } = current();
            requests.inc({ zone, proto: protocol, type });
            responses.inc({ zone, rcode: code });
            duration.observe(took, { zone });
            if (logs) log.info({ client, name, type, code, seconds: took }, 'query');
          },
          (error) => log.error(error.message),
        );
      }
      if (blocks.some((block) => block.directives.some((d) => d.name === 'reload'))) {
        const layout = layoutOf(blocks);
        const change = async (changed: ServerBlock[]) => {
          if (layoutOf(changed) !== layout) {
            log.info('the Corefile listens elsewhere now; restarting');
            process.exit(0);
          }
          serving = await servings(changed);
          log.info('the Corefile has changed and is used');
        };
        watchCorefile(flags.conf, text, signal, change, (why) => log.warn(why)).catch((error: Error) =>
          log.error(error.message),
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

/** Hands each other valid Corefile on; one that is not valid is told. */
async function watchCorefile(
  path: string,
  first: string,
  signal: AbortSignal,
  change: (blocks: ServerBlock[]) => Promise<void>,
  say: (why: string) => void,
): Promise<void> {
  let current = first;
  try {
    for await (const _change of watch(dirname(path), { signal })) {
      const now = await readFile(path, 'utf8').catch(() => current);
      if (now === current) continue;
      current = now;
      try {
        await change(parseCorefile(now, path));
      } catch (error) {
        say(`the changed Corefile is not used: ${(error as Error).message}`);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
