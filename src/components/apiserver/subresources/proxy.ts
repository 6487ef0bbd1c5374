/** `nodes/proxy`, `pods/proxy`, `services/proxy`: HTTP and upgrades to whatever listens there. */
import { isIP } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { EndpointSlice, Node, Pod, Service } from '../../../machinery/api/types.ts';
import { badRequest, serviceUnavailable } from '../errors.ts';
import type { RequestContext, SubresourceHandler } from '../types.ts';
import { admitConnect, type ConnectDeps, findOrThrow } from './connect.ts';
import { splitSchemeNamePort, type TlsIdentity } from './kubelet-connection.ts';
import { forwardedHeaders, passUpgrade, sendRequest, type Target } from './reverse-proxy.ts';

interface Location {
  /** Scheme, host and port. */
  base: string;
  tls?: TlsIdentity;
}

export function proxies(deps: ConnectDeps): SubresourceHandler[] {
  const locate = { nodes: nodeLocation, pods: podLocation, services: serviceLocation };
  const kinds = { nodes: 'NodeProxyOptions', pods: 'PodProxyOptions', services: 'ServiceProxyOptions' };
  return (Object.keys(locate) as (keyof typeof locate)[]).map((resource) => ({
    resource: { group: '', resource },
    subresource: 'proxy',
    async handle(ctx) {
      const location = await locate[resource](deps, ctx);
      await admitConnect(deps, ctx, kinds[resource]);
      await pass(deps, ctx, location);
    },
  }));
}

const authority = (host: string, port: string | number) => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
/** Pods and services behind `https:` are not expected to have certificates that anybody knows. */
const unchecked: TlsIdentity = { rejectUnauthorized: false };

async function nodeLocation(deps: ConnectDeps, { info }: RequestContext): Promise<Location> {
  const { scheme, name, port } = splitSchemeNamePort(info.name);
  const node = (await findOrThrow(deps, { group: '', resource: 'nodes' }, '', name)) as Node;
  const kubelet = new URL(deps.kubelet.baseUrl(name, node));
  if (!port || port === kubelet.port) return { base: kubelet.origin, tls: deps.kubelet.tls() };
  return { base: `${scheme || 'http'}://${kubelet.hostname}:${port}`, tls: unchecked };
}

async function podLocation(deps: ConnectDeps, { info }: RequestContext): Promise<Location> {
  const { scheme, name, port } = splitSchemeNamePort(info.name);
  const pod = (await findOrThrow(deps, { group: '', resource: 'pods' }, info.namespace, name)) as Pod;
  const ip = pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || '';
  if (!isIP(ip) || /^(127\.|169\.254\.|::1$|fe80:)/.test(ip)) throw badRequest('address not allowed');
  const first = pod.spec?.containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort;
  const chosen = port || first;
  const host = isIP(ip) === 6 ? `[${ip}]` : ip;
  return { base: `${scheme || 'http'}://${host}${chosen ? `:${chosen}` : ''}`, tls: unchecked };
}

async function serviceLocation(deps: ConnectDeps, { info }: RequestContext): Promise<Location> {
  const { scheme, name, port } = splitSchemeNamePort(info.name);
  const service = (await findOrThrow(deps, { group: '', resource: 'services' }, info.namespace, name)) as Service;
  const ports = service.spec?.ports ?? [];
  const wanted = ports.find((found) => (found.name ?? '') === port || String(found.port) === port);
  if (!wanted && port)
    throw serviceUnavailable(`no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  const slices = deps.cache.list(
    { group: 'discovery.k8s.io', resource: 'endpointslices' },
    info.namespace,
  ) as unknown as EndpointSlice[];
  const portName = wanted?.name ?? '';
  const targets = slices
    .filter(({ metadata }) => metadata?.labels?.['kubernetes.io/service-name'] === name)
    .flatMap(({ endpoints = [], ports: slicePorts = [] }) => {
      const number = slicePorts.find((found) => (found.name ?? '') === portName)?.port;
      if (!number) return [];
      return endpoints
        .filter(({ conditions }) => conditions?.ready !== false)
        .map(({ addresses }) => authority(addresses[0] ?? '', number));
    });
  const target = targets[Math.floor(Math.random() * targets.length)];
  if (!target) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(info.name)}`);
  return { base: `${scheme || 'http'}://${target}`, tls: unchecked };
}

/** The path below `…/proxy`, exactly as the client wrote it. */
export function restOfPath(pathname: string, segments: number): string {
  let at = 0;
  for (let i = 0; i < segments; i += 1) {
    at = pathname.indexOf('/', at + 1);
    if (at < 0) return '';
  }
  return pathname.slice(at);
}

async function pass(deps: ConnectDeps, ctx: RequestContext, { base, tls }: Location): Promise<void> {
  const { req, res, url, info } = ctx;
  // /api/v1[/namespaces/<ns>]/<resource>/<name>/proxy
  const segments = info.namespace ? 7 : 5;
  const rest = restOfPath(url.pathname, segments);
  if (!rest && res) {
    res.writeHead(301, { location: `${url.pathname}/${url.search}` }).end();
    return;
  }
  const target: Target = {
    url: new URL(`${rest || '/'}${url.search}`, base),
    method: req.method ?? 'GET',
    headers: {
      ...forwardedHeaders(req.headers, ctx.socket !== undefined),
      'x-forwarded-for': req.socket.remoteAddress ?? '',
      'x-forwarded-uri': `${url.pathname}${url.search}`,
      'x-forwarded-host': req.headers.host ?? '',
      'x-forwarded-proto': 'https',
    },
    ...(tls ? { tls } : {}),
    timeoutMs: deps.kubelet.timeoutMs,
  };
  if (ctx.socket) return passUpgrade(ctx, target);
  if (!res) return;
  const answer = await sendRequest(ctx, target);
  const headers = forwardedHeaders(answer.headers);
  const { location } = answer.headers;
  if (location)
    headers['location'] = rewritten(location, target.url, url.pathname.slice(0, url.pathname.length - rest.length));
  res.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
  res.flushHeaders();
  await pipeline(answer, res).catch((error: Error) => {
    res.destroy(error);
  });
}

/** A redirect within the proxied host stays below the proxy's path. */
export function rewritten(location: string, target: URL, prefix: string): string {
  if (!URL.canParse(location, target.href)) return location;
  const to = new URL(location, target);
  return to.host === target.host ? `${prefix}${to.pathname}${to.search}${to.hash}` : location;
}
