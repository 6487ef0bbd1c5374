/** What the kubelet's server answers besides streams: pods, logs, health, measurements, configuration. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubeletServerOptions } from '../types.ts';
import { serveContainerLogs } from './container-logs.ts';
import { serveFiles } from './files.ts';
import { RequestError, runningContainer, streamTarget } from './streaming.ts';

export interface Endpoints {
  /** Answers whether there is such an endpoint. */
  serve(req: IncomingMessage, res: ServerResponse, url: URL): Promise<boolean>;
}

type Handler = (url: URL, req: IncomingMessage, res: ServerResponse) => Promise<void> | void;

const systemLogs = '/var/log';
const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export function createEndpoints(options: KubeletServerOptions): Endpoints {
  const { view, runtime, prober } = options;
  // Measuring is loaded with the first request for it.
  let measurements: Promise<import('../stats/measurements.ts').Measurements> | undefined;
  const measured = () => {
    measurements ??= import('../stats/measurements.ts').then(({ createMeasurements }) => createMeasurements(options));
    return measurements;
  };

  const exact: Record<string, Handler> = {
    '/healthz': (url, _, res) => health(url, res, view.healthy()),
    '/healthz/ping': (_, __, res) => text(res, 'ok'),
    '/healthz/syncloop': (url, _, res) => health(url, res, view.healthy()),
    '/pods': (_, __, res) => json(res, podList(view.pods())),
    '/runningpods': (_, __, res) =>
      json(res, podList(view.pods().filter((pod) => view.podStatus(pod.metadata?.uid ?? '')?.phase === 'Running'))),
    '/configz': (_, __, res) => json(res, { kubeletconfig: options.configuration() }),
    '/metrics': (_, __, res) => text(res, options.metrics.text(), metricsType),
    '/metrics/probes': (_, __, res) => text(res, prober?.metrics() ?? '', metricsType),
    '/metrics/resource': async (_, __, res) => text(res, await (await measured()).resourceMetrics(), metricsType),
    '/metrics/cadvisor': async (_, __, res) => text(res, await (await measured()).cadvisorMetrics(), metricsType),
    '/stats/summary': async (url, _, res) =>
      json(res, await (await measured()).summary(url.searchParams.get('only_cpu_and_memory') === 'true')),
  };

  const run: Handler = async (url, req, res) => {
    const target = streamTarget(url.pathname);
    const pod = target && view.pod(target.namespace, target.podName);
    if (req.method !== 'POST') throw new RequestError(405, '405: Method Not Allowed');
    if (!target || !pod?.metadata?.uid) throw new RequestError(404, 'pod does not exist');
    const containerId = runningContainer(target, pod.metadata.uid, view);
    const command = (url.searchParams.get('cmd') ?? '').split(' ').filter(Boolean);
    const { stdout, stderr, exitCode } = await runtime.execSync(containerId, command, 0);
    const output = Buffer.concat([stdout, stderr]);
    if (exitCode !== 0)
      throw new RequestError(500, `command '${command.join(' ')}' exited with ${exitCode}: ${output.toString()}`);
    res.writeHead(200, { 'content-type': 'text/plain' }).end(output);
  };

  const below: [string, Handler][] = [
    ['/containerLogs/', (url, _, res) => serveContainerLogs(url.pathname, url.searchParams, res, view, runtime)],
    ['/run/', run],
    [
      '/logs/',
      (url, req, res) => {
        if (!options.systemLogHandler) throw new RequestError(405, 'logs endpoint is disabled.\n');
        return serveFiles(systemLogs, url.pathname.slice('/logs'.length), req, res);
      },
    ],
  ];

  return {
    async serve(req, res, url) {
      const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : url.pathname;
      const handler = exact[path] ?? below.find(([prefix]) => `${path}/`.startsWith(prefix))?.[1];
      if (!handler) return false;
      await handler(url, req, res);
      return true;
    },
  };
}

const podList = (items: object[]): object => ({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });

function health(url: URL, res: ServerResponse, problem: string | undefined): void {
  if (problem) throw new RequestError(500, `[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n`);
  text(res, url.searchParams.has('verbose') ? '[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n' : 'ok');
}

function text(res: ServerResponse, body: string, type = 'text/plain; charset=utf-8'): void {
  res.writeHead(200, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body);
}

function json(res: ServerResponse, body: object): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
