/** Counts and times requests under upstream's metric names. */
import type { MetricsRegistry } from '../../../machinery/serving/metrics.ts';
import type { RequestContext, RequestInfo } from '../types.ts';

export interface RequestMetrics {
  /** Answers what to call with the HTTP code when the request has been served. */
  started(ctx: RequestContext): (code: number) => void;
}

const longRunning = new Set(['watch', 'proxy', 'connect']);
const longSubresources = new Set(['log', 'exec', 'attach', 'portforward', 'proxy']);

/** Answers that go on until somebody ends them. */
export const isLongRunning = ({ verb, subresource }: RequestInfo): boolean =>
  longRunning.has(verb) || longSubresources.has(subresource);

const paths = new Set([
  'api',
  'apis',
  'healthz',
  'livez',
  'readyz',
  'metrics',
  'openapi',
  'openid',
  'version',
  '.well-known',
]);

/** The first segment of a path, as far as there is something below it. */
function knownPath(path: string): string {
  const first = path.split('/')[1] ?? '';
  return paths.has(first) ? first : '';
}

export function createRequestMetrics(
  metrics: MetricsRegistry,
  isServed: (info: RequestInfo) => boolean,
): RequestMetrics {
  const total = metrics.counter(
    'apiserver_request_total',
    'Requests by verb, group, version, resource, subresource, scope and HTTP response code.',
  );
  const seconds = metrics.histogram(
    'apiserver_request_duration_seconds',
    'How long requests took, without watches and streams.',
  );
  let inFlight = 0;
  metrics.gauge('apiserver_current_inflight_requests', 'Requests that are being served.', (set) => set(inFlight));
  return {
    started({ info, req }) {
      const begun = performance.now();
      inFlight++;
      const verb = info.isResourceRequest ? info.verb.toUpperCase() : (req.method ?? 'GET');
      const scope = !info.isResourceRequest ? '' : info.name ? 'resource' : info.namespace ? 'namespace' : 'cluster';
      const labels = {
        verb,
        group: info.apiGroup,
        version: info.apiVersion,
        resource: info.resource,
        subresource: info.isResourceRequest ? info.subresource : knownPath(info.path),
        scope,
      };
      return (code) => {
        inFlight--;
        // Paths that nobody serves come in any number: they count as one.
        if (info.isResourceRequest ? !isServed(info) : code === 404) {
          total.inc({ verb, code: String(code) });
          return;
        }
        total.inc({ ...labels, code: String(code) });
        if (!isLongRunning(info)) seconds.observe((performance.now() - begun) / 1000, labels);
      };
    },
  };
}

const hour = 3600;
const day = 24 * hour;

/** Upstream's histogram of what the certificates of those who ask have left. */
export function certificateExpiry(metrics: MetricsRegistry): (secondsLeft: number) => void {
  const limits = [0, hour / 2, hour, 2 * hour, 6 * hour, 12 * hour, day, 2 * day, 4 * day, 7 * day, 30 * day];
  const seconds = metrics.histogram(
    'apiserver_client_certificate_expiration_seconds',
    '[ALPHA] Distribution of the remaining lifetime on the certificate used to authenticate a request.',
    [...limits, 90 * day, 180 * day, 360 * day],
  );
  return (secondsLeft) => seconds.observe(secondsLeft);
}
