/** /healthz, /livez, /readyz (named checks, `?verbose`, `?exclude=`) and /metrics, over HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { MetricsRegistry } from './metrics.ts';

/** Answers nothing when well, otherwise why not. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>;
export type HealthChecks = Record<string, HealthCheck>;

export interface HealthEndpoints {
  /** Path (`/healthz`, `/readyz`, …) → checks. */
  checks: Record<string, HealthChecks>;
  metrics?: MetricsRegistry;
}

/** Serves the paths of `endpoints`; answers false for others. */
export async function serveHealth(
  endpoints: HealthEndpoints,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const url = new URL(req.url ?? '/', 'http://localhost');
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : url.pathname;
  if (path === '/metrics' && endpoints.metrics) {
    write(res, 200, endpoints.metrics.text(), 'text/plain; version=0.0.4; charset=utf-8');
    return true;
  }
  const group = Object.keys(endpoints.checks).find((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  if (!group) return false;
  const checks = endpoints.checks[group] as HealthChecks;
  const single = path.slice(group.length + 1);
  if (single && !checks[single]) {
    write(res, 404, '404 page not found\n');
    return true;
  }
  const excluded = new Set(url.searchParams.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    if (single ? name !== single : excluded.has(name)) {
      if (!single) lines.push(`[+]${name} excluded: ok`);
      continue;
    }
    let problem: string | undefined;
    try {
      problem = await check();
    } catch (error) {
      problem = (error as Error).message;
    }
    if (problem) failed = true;
    lines.push(problem ? `[-]${name} failed: ${problem}` : `[+]${name} ok`);
  }
  const kind = group.slice(1);
  if (failed) write(res, 500, `${lines.join('\n')}\n${kind} check failed\n`);
  else write(res, 200, url.searchParams.has('verbose') ? `${lines.join('\n')}\n${kind} check passed\n` : 'ok');
  return true;
}

function write(res: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  res.writeHead(status, {
    'content-type': type,
    'x-content-type-options': 'nosniff',
    'content-length': Buffer.byteLength(body),
  });
  res.end(body);
}

/** Takes `host:port`, `[::]:port` or `:port` apart. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address);
  if (!match) throw new Error(`"${address}" is not an address of the form host:port`);
  return { host: match[1] || match[2] || '0.0.0.0', port: Number(match[3]) };
}

/** A plain HTTP server for the endpoints, for components that serve them without TLS (kube-proxy, DNS, kubelet's healthz). */
export async function listenHealth(address: string, endpoints: HealthEndpoints): Promise<Server> {
  const { host, port } = splitAddress(address);
  const server = createServer((req, res) => {
    serveHealth(endpoints, req, res).then(
      (served) => {
        if (!served) write(res, 404, '404 page not found\n');
      },
      (error: Error) => write(res, 500, `${error.message}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(`cannot listen on ${address}: ${error.code === 'EADDRINUSE' ? 'the port is in use' : error.message}`),
      ),
    );
    server.listen(port, host, resolve);
  });
  return server;
}
