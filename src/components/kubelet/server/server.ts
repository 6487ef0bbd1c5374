/** The kubelet's HTTPS server: each request passes the gate, then the endpoint of its path; upgrades are joined to the runtime. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { selfSignedCertificate } from '../../../machinery/serving/self-signed.ts';
import { tlsSettings } from '../../../machinery/serving/tls.ts';
import type { KubeletServer, KubeletServerOptions } from '../types.ts';
import { createGate, type Gate, pathOf } from './auth.ts';
import { createEndpoints, type Endpoints } from './endpoints.ts';
import { registerOwnMetrics } from './own-metrics.ts';
import { joinStream, RequestError, streamTarget, streamUrl } from './streaming.ts';

const certificateCheckMs = 60_000;
const debugPaths = /^\/(run|exec|attach|portForward|containerLogs|runningpods|checkpoint)(\/|$)/;

/** Serves until closed. @throws when it cannot listen */
export async function startServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const gate = createGate(options.auth, options.view.nodeName);
  const endpoints = createEndpoints(options);
  const count = registerOwnMetrics(options);
  const { tls } = options;
  const server = createServer({
    ...certificateOf(tls),
    requestCert: true,
    rejectUnauthorized: false,
    ...tlsSettings(tls.minVersion, tls.cipherSuites),
  });
  // Streams and followed logs last as long as they last.
  server.requestTimeout = 0;
  const stopRenewal = renewCertificate(server, tls);

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    count(req.method ?? '', pathOf(req), res);
    answer(req, res, gate, endpoints, options).catch((error: Error) => refuse(res, error, options));
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    count(req.method ?? '', pathOf(req), socket);
    upgrade(req, socket, head, gate, options).catch((error: Error) => {
      const status = error instanceof RequestError ? error.status : 500;
      endRaw(socket, status, error.message);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
      reject(new Error(`cannot listen on ${options.address}:${options.port}: ${why}`));
    });
    server.listen(options.port, options.address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        stopRenewal();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  gate: Gate,
  endpoints: Endpoints,
  options: KubeletServerOptions,
): Promise<void> {
  const refusal = await gate(req);
  if (refusal) throw new RequestError(refusal.status, refusal.message);
  const url = new URL(req.url ?? '/', 'https://localhost');
  if (!options.debuggingHandlers && debugPaths.test(url.pathname))
    throw new RequestError(405, 'Debug endpoints are disabled.\n');
  const target = streamTarget(url.pathname);
  if (target && target.action !== 'run') throw new RequestError(400, 'Upgrade request required');
  if (!(await endpoints.serve(req, res, url))) throw new RequestError(404, '404: Page Not Found');
}

async function upgrade(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  gate: Gate,
  options: KubeletServerOptions,
): Promise<void> {
  const refusal = await gate(req);
  if (refusal) throw new RequestError(refusal.status, refusal.message);
  const url = new URL(req.url ?? '/', 'https://localhost');
  const target = streamTarget(url.pathname);
  if (!target || target.action === 'run') throw new RequestError(404, '404: Page Not Found');
  if (!options.debuggingHandlers) throw new RequestError(405, 'Debug endpoints are disabled.\n');
  await joinStream(req, socket, head, await streamUrl(target, url.searchParams, options.view, options.runtime));
}

function refuse(res: ServerResponse, error: Error, options: KubeletServerOptions): void {
  if (!(error instanceof RequestError)) options.onError?.(`request failed: ${error.stack ?? error.message}`);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  res.writeHead(error instanceof RequestError ? error.status : 500, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  });
  res.end(error.message);
}

/** An answer on a connection that was taken out of HTTP for an upgrade. */
function endRaw(socket: Duplex, status: number, message: string): void {
  if (socket.destroyed) return;
  const body = Buffer.from(message);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${message}`,
  );
}

type Tls = KubeletServerOptions['tls'];

function certificateOf(tls: Tls): { cert: string; key: string } {
  const current = tls.current?.();
  if (current) return current;
  if (tls.certFile && tls.keyFile)
    return { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') };
  return selfSignedCertificate(`${tls.hosts[0] ?? 'kubelet'}@${Math.floor(Date.now() / 1000)}`, tls.hosts);
}

/** A renewed certificate is taken up without a restart. */
function renewCertificate(server: Server, tls: Tls): () => void {
  const { certFile, current } = tls;
  if (current) {
    let known = current()?.cert;
    server.prependListener('connection', () => {
      const now = current();
      if (!now || now.cert === known) return;
      known = now.cert;
      server.setSecureContext(now);
    });
  } else if (certFile) {
    watchFile(certFile, { interval: certificateCheckMs, persistent: false }, () =>
      server.setSecureContext(certificateOf(tls)),
    );
    return () => unwatchFile(certFile);
  }
  return () => undefined;
}
