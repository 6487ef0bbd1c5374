/** Everything that is no resource: discovery, OpenAPI, version, health, metrics, OpenID documents. */
import { gzipSync } from 'node:zlib';
import { type HealthEndpoints, serveHealth } from '../../../machinery/serving/health.ts';
import { apiVersionInfo } from '../../../machinery/version.ts';
import type { OpenIdDocument } from '../authentication/openid-discovery.ts';
import { type DiscoveryDocument, discoveryDocument } from '../discovery/discovery.ts';
import { type OpenApiDocument, openApiDocument } from '../openapi/openapi.ts';
import type { ApiRegistry, RequestContext } from '../types.ts';
import { commonHeaders, writeBody } from './respond.ts';

export interface PathDeps {
  registry: ApiRegistry;
  health: HealthEndpoints;
  openId: OpenIdDocument[];
  /** `host:port` told to clients in `/api`. */
  serverAddress: string;
}

export function createPaths(deps: PathDeps): (ctx: RequestContext) => Promise<boolean> {
  return async (ctx) => {
    const { req, res, url } = ctx;
    if (!res) return false;
    if (await serveHealth(deps.health, req, res)) return true;
    const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : url.pathname;
    if (path === '/version') {
      await writeBody(req, res, 200, JSON.stringify(apiVersionInfo(), null, 2), { 'content-type': 'application/json' });
      return true;
    }
    const openId = deps.openId.find((document) => document.path === path);
    if (openId) {
      const headers = { 'content-type': openId.contentType, 'cache-control': `public, max-age=${openId.maxAge}` };
      await writeBody(req, res, 200, openId.body(), headers);
      return true;
    }
    const discovery = discoveryDocument(deps.registry, path, req.headers.accept, deps.serverAddress);
    if (discovery) {
      await writeDiscovery(ctx, discovery);
      return true;
    }
    const openApi = openApiDocument(deps.registry, url, req.headers.accept, `${req.headers['accept-encoding'] ?? ''}`);
    if (openApi) {
      writeOpenApi(ctx, openApi);
      return true;
    }
    if (path === '/') {
      await writeBody(req, res, 200, JSON.stringify({ paths: rootPaths(deps) }, null, 2), {
        'content-type': 'application/json',
      });
      return true;
    }
    return false;
  };
}

async function writeDiscovery({ req, res }: RequestContext, document: DiscoveryDocument): Promise<void> {
  if (!res) return;
  const headers = lowerCase({ ...document.headers, 'Content-Type': document.contentType });
  if (document.etag) {
    headers['etag'] = document.etag;
    if (req.headers['if-none-match'] === document.etag) {
      res.writeHead(304, headers).end();
      return;
    }
  }
  await writeBody(req, res, 200, document.body, headers);
}

function writeOpenApi({ req, res }: RequestContext, document: OpenApiDocument): void {
  if (!res) return;
  if (document.location) {
    res.writeHead(301, { location: document.location }).end();
    return;
  }
  const headers: Record<string, string | number> = {
    ...commonHeaders,
    'content-type': document.contentType,
    etag: document.etag,
    vary: 'Accept',
    ...(document.cacheControl ? { 'cache-control': document.cacheControl } : {}),
    ...(document.expires ? { expires: document.expires } : {}),
  };
  if (req.headers['if-none-match'] === document.etag) {
    res.writeHead(304, headers).end();
    return;
  }
  const zip =
    !document.contentEncoding &&
    document.body.length > 4096 &&
    /\bgzip\b/.test(`${req.headers['accept-encoding'] ?? ''}`);
  const body = zip ? gzipSync(document.body, { level: 1 }) : document.body;
  const encoding = zip ? 'gzip' : document.contentEncoding;
  res.writeHead(200, {
    ...headers,
    ...(encoding ? { 'content-encoding': encoding } : {}),
    'content-length': body.length,
  });
  res.end(body);
}

const lowerCase = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function rootPaths({ registry, health, openId }: PathDeps): string[] {
  const groups = new Set<string>();
  for (const { group, version } of registry.all()) {
    if (group) groups.add(`/apis/${group}`).add(`/apis/${group}/${version}`);
    else groups.add(`/api/${version}`);
  }
  const checks = Object.entries(health.checks).flatMap(([path, named]) => [
    path,
    ...Object.keys(named).map((name) => `${path}/${name}`),
  ]);
  return [
    '/api',
    '/apis',
    ...groups,
    ...checks,
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/version',
    ...openId.map(({ path }) => path),
  ].sort();
}
