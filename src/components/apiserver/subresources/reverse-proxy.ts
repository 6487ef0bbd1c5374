/** Passes an HTTP request, or an upgraded connection byte by byte, on to another server. */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { webSocketTokenPrefix } from '../authentication/authenticator.ts';
import type { StatusError } from '../errors.ts';
import type { RequestContext } from '../types.ts';
import type { TlsIdentity } from './kubelet-connection.ts';
import { connectionError, dialError, dialFailure } from './upstream-error.ts';

export interface Target {
  url: URL;
  method: string;
  headers: OutgoingHttpHeaders;
  tls?: TlsIdentity;
  /** To connect. */
  timeoutMs: number;
  /** Absent: the body of the client's request. */
  body?: 'none';
  /** What the client is told when there is no connection; `why` is worded as Go words it. */
  failure?(why: string): StatusError;
}

/** Headers that belong to one connection (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What may travel on: neither connection headers nor the client's credentials for the API server. */
export function forwardedHeaders(headers: IncomingHttpHeaders, keepUpgrade = false): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const out: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'authorization' || name === 'host' || name.startsWith('impersonate-')) continue;
    if (hopByHop.has(name) || named.has(name)) continue;
    out[name] = name === 'sec-websocket-protocol' ? withoutToken(String(value)) : value;
  }
  if (keepUpgrade) {
    out['connection'] = 'Upgrade';
    out['upgrade'] = headers.upgrade;
  }
  return out;
}

/** Browsers hand their token over as a protocol. */
const withoutToken = (protocols: string): string =>
  protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => !protocol.startsWith(webSocketTokenPrefix))
    .join(', ');

/** Starts the request; resolves with the answer's head. Throws a StatusError when there is no connection. */
export function sendRequest(ctx: RequestContext, target: Target): Promise<IncomingMessage> {
  const { req, done } = start(ctx, target);
  if (target.body === 'none' || ctx.socket) req.end();
  // A body that breaks off ends the outgoing request, whose error is what is reported.
  else void pipeline(ctx.req, req).catch(() => undefined);
  return new Promise((resolve, reject) => {
    req.once('response', resolve);
    const { method, url, failure } = target;
    req.once('error', (error) =>
      reject(failure ? failure(dialFailure(url, error)) : connectionError(method, url, error)),
    );
  }).finally(done) as Promise<IncomingMessage>;
}

interface Upgraded {
  answer: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Asks for an upgrade; resolves with the raw connection, or with the answer alone when it was refused. */
function sendUpgrade(
  ctx: RequestContext,
  target: Target,
): Promise<Upgraded | { answer: IncomingMessage; socket?: undefined }> {
  const { req, done } = start(ctx, target);
  req.end();
  return new Promise<Upgraded | { answer: IncomingMessage; socket?: undefined }>((resolve, reject) => {
    req.once('upgrade', (answer, socket, head) => resolve({ answer, socket, head }));
    req.once('response', (answer) => resolve({ answer }));
    const { url, failure } = target;
    req.once('error', (error) => reject(failure ? failure(dialFailure(url, error)) : dialError(url, error)));
  }).finally(done);
}

function start(ctx: RequestContext, { url, method, headers, tls, timeoutMs }: Target) {
  const options: RequestOptions = { method, headers, agent: false, signal: ctx.signal, ...(tls ?? {}) };
  const req = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
  const timer = setTimeout(
    () => req.destroy(Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' })),
    timeoutMs,
  );
  // The deadline is for connecting; what is asked for may take its time.
  req.once('socket', (socket) => {
    const ready = url.protocol === 'https:' ? 'secureConnect' : 'connect';
    socket.once(ready, () => clearTimeout(timer));
  });
  return { req, done: () => clearTimeout(timer) };
}

/** The client's upgraded connection joined with one to the target; a refused upgrade is the client's to read. */
export async function passUpgrade(ctx: RequestContext, target: Target): Promise<void> {
  const { socket, head } = ctx;
  if (!socket) return;
  const upgraded = await sendUpgrade(ctx, target);
  if (!upgraded.socket) {
    writeHead(socket, upgraded.answer, new Set(['transfer-encoding', 'connection']));
    await pipeline(upgraded.answer, socket).catch(() => socket.destroy());
    return;
  }
  writeHead(socket, upgraded.answer);
  if (upgraded.head.length) socket.write(upgraded.head);
  if (head?.length) upgraded.socket.write(head);
  await splice(socket, upgraded.socket);
}

/** Writes the head of an answer to a raw socket, all headers as they came. */
function writeHead(socket: Duplex, answer: IncomingMessage, drop: Set<string> = new Set()): void {
  let head = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`;
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    const name = answer.rawHeaders[at] ?? '';
    if (!drop.has(name.toLowerCase())) head += `${name}: ${answer.rawHeaders[at + 1]}\r\n`;
  }
  socket.write(`${head}\r\n`);
}

/** Joins two connections until either ends; both are closed then. */
function splice(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      a.destroy();
      b.destroy();
      resolve();
    };
    for (const side of [a, b]) {
      side.once('error', end);
      side.once('close', end);
    }
    a.pipe(b);
    b.pipe(a);
  });
}
