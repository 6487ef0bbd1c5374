/** GET as the kubelet's probes do it: no connection reuse, certificates not verified, redirects only on the same host, Go's error texts. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIPv6 } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Container, Probe } from '../../../machinery/api/types.ts';
import { dialError } from './dial.ts';

type HttpGet = NonNullable<Probe['httpGet']>;

export interface HttpTarget {
  url: string;
  headers: [string, string][];
}

export interface HttpAnswer {
  status: number;
  body: string;
  /** Set when there was no answer. */
  error?: string;
}

const bodyLimit = 10 * 1024;
const redirectLimit = 10;

/** @throws when the port has no number */
export function portNumber(port: number | string | undefined, container: Container): number {
  const named = typeof port === 'string' && !/^\d+$/.test(port);
  const number = named ? container.ports?.find(({ name }) => name === port)?.containerPort : Number(port);
  if (named && number === undefined) throw new Error(`couldn't find port: ${port} in container "${container.name}"`);
  if (!number || number < 1 || number > 65535) throw new Error(`invalid port number: ${port}`);
  return number;
}

export function httpTarget(get: HttpGet, container: Container, podIp: string): HttpTarget {
  const host = get.host || podIp;
  const path = get.path ?? '';
  const port = portNumber(get.port as number | string, container);
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return {
    url: `${(get.scheme || 'HTTP').toLowerCase()}://${address}${path.startsWith('/') ? '' : '/'}${path}`,
    headers: (get.httpHeaders ?? []).map(({ name, value }) => [name, value]),
  };
}

/** Never throws: what went wrong is in `error`, worded as Go words it. */
export async function httpProbe(
  target: HttpTarget,
  timeoutMs: number,
  signal?: AbortSignal,
  userAgent = 'kube-probe/1.36',
): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const ended = signal ? AbortSignal.any([deadline, signal]) : deadline;
  let url = target.url;
  for (let hops = 0; ; hops += 1) {
    let answer: HttpAnswer & { location?: string };
    try {
      answer = await get(url, requestHeaders(target.headers, userAgent), ended);
    } catch (error) {
      return { status: 0, body: '', error: `Get ${JSON.stringify(url)}: ${httpError(error as Error, url, deadline)}` };
    }
    const { location } = answer;
    if (!location || ![301, 302, 303, 307, 308].includes(answer.status)) return answer;
    const next = new URL(location, url);
    if (next.hostname !== new URL(url).hostname) return answer;
    if (hops + 1 >= redirectLimit)
      return { status: 0, body: '', error: `Get ${JSON.stringify(location)}: stopped after 10 redirects` };
    url = next.href;
  }
}

function requestHeaders(given: [string, string][], userAgent: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of given) {
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined || key === 'host' ? value : [before, value].flat();
  }
  headers['user-agent'] ??= userAgent;
  headers['accept'] ??= '*/*';
  // An empty value takes a header away.
  for (const name of ['user-agent', 'accept']) if (headers[name] === '') delete headers[name];
  return headers;
}

let context: SecureContext | undefined;
/** One for all probes: nothing in it differs, and making one costs more than the connection. */
const sharedContext = (): SecureContext => {
  context ??= createSecureContext();
  return context;
};

function get(
  url: string,
  headers: Record<string, string | string[]>,
  signal: AbortSignal,
): Promise<HttpAnswer & { location?: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer & { location?: string }>();
  const parsed = new URL(url);
  const options: RequestOptions & { rejectUnauthorized?: boolean; secureContext?: SecureContext } = {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port || (parsed.protocol === 'https:' ? 443 : 80),
    path: parsed.pathname + parsed.search,
    headers: { ...headers, connection: 'close' },
    agent: false,
    signal,
    ...(parsed.protocol === 'https:' ? { rejectUnauthorized: false, secureContext: sharedContext() } : {}),
  };
  const take = (response: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = () => {
      const location = response.headers.location;
      resolve({
        status: response.statusCode ?? 0,
        body: Buffer.concat(chunks).subarray(0, bodyLimit).toString(),
        ...(location ? { location } : {}),
      });
      response.destroy();
    };
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= bodyLimit) end();
    });
    response.on('end', end);
    response.on('error', reject);
  };
  const request = (parsed.protocol === 'https:' ? httpsRequest : httpRequest)(options, take);
  request.on('error', reject);
  request.end();
  return promise;
}

function httpError(error: NodeJS.ErrnoException, url: string, deadline: AbortSignal): string {
  if (deadline.aborted) return 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
  if (error.name === 'AbortError') return 'context canceled';
  if (error.message === 'socket hang up') return 'EOF';
  if (error.code === 'EPROTO') return 'http: server gave HTTP response to HTTPS client';
  if (error.code?.startsWith('HPE_')) return `net/http: HTTP/1.x transport connection broken: ${error.message}`;
  return dialError(error, new URL(url).host);
}
