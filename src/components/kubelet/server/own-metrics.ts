/** What the kubelet tells of itself at /metrics: what runs here, and what is asked of this server. */
import type { EventEmitter } from 'node:events';
import { kubernetesVersion } from '../../../machinery/version.ts';
import type { KubeletServerOptions } from '../types.ts';

const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Whatever else is asked for counts as one: names of series must not be a stranger's choice. */
const endpoints = new Set(
  'healthz pods runningpods configz metrics stats containerLogs exec attach portForward run logs'.split(' '),
);
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Registers them; the answer counts a request until its response has ended. */
export function registerOwnMetrics({ metrics, view }: Pick<KubeletServerOptions, 'metrics' | 'view'>) {
  metrics.gauge('kubelet_node_name', "[ALPHA] The node's name. The count is always 1.").set(1, { node: view.nodeName });
  metrics
    .gauge('kubernetes_build_info', '[ALPHA] A metric with a constant 1 value labeled by the version of this program.')
    .set(1, { git_version: kubernetesVersion, platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}` });
  metrics.gauge('kubelet_running_pods', '[BETA] Number of pods that have a running pod sandbox', (set) =>
    set(view.pods().filter(({ metadata }) => view.podStatus(metadata?.uid ?? '')?.phase === 'Running').length),
  );
  metrics.gauge('kubelet_running_containers', '[BETA] Number of containers currently running', (set) => {
    const counts = { created: 0, running: 0, exited: 0 };
    for (const { metadata } of view.pods()) {
      const status = view.podStatus(metadata?.uid ?? '');
      for (const { state } of [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]) {
        if (state?.running) counts.running += 1;
        else if (state?.terminated) counts.exited += 1;
      }
    }
    for (const [state, count] of Object.entries(counts)) set(count, { container_state: state });
  });
  const requests = metrics.counter(
    'kubelet_http_requests_total',
    '[ALPHA] Number of the http requests received since the server started',
  );
  const inflight = metrics.gauge('kubelet_http_inflight_requests', '[ALPHA] Number of the inflight http requests');
  const duration = metrics.histogram(
    'kubelet_http_requests_duration_seconds',
    '[ALPHA] Duration in seconds to serve http requests',
    durations,
  );
  const running = new Map<string, number>();

  return (method: string, path: string, res: EventEmitter): void => {
    const first = path.split('/')[1] ?? '';
    const name = endpoints.has(first) ? first : 'other';
    const labels = {
      long_running: String(/^(exec|attach|portForward|containerLogs)$/.test(name)),
      method: methods.has(method) ? method : 'other',
      path: name,
      server_type: 'readwrite',
    };
    const key = JSON.stringify(labels);
    const note = (by: number) => {
      running.set(key, (running.get(key) ?? 0) + by);
      inflight.set(running.get(key) ?? 0, labels);
    };
    const began = Date.now();
    requests.inc(labels);
    note(1);
    res.once('close', () => {
      note(-1);
      duration.observe((Date.now() - began) / 1000, labels);
    });
  };
}
