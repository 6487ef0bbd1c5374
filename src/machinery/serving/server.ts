/** The HTTPS server of a component: health, metrics, configz, behind delegated authentication and authorization. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { createDelegatedAuth, type DelegatedAuthOptions } from './delegated-auth.ts';
import { type HealthEndpoints, serveHealth } from './health.ts';
import { onRenewal } from './renewed-files.ts';
import { selfSignedCertificate } from './self-signed.ts';
import { tlsSettings } from './tls.ts';

export interface ServingOptions extends HealthEndpoints {
  /** Default `0.0.0.0`. */
  bindAddress?: string;
  /** 0: any free one. */
  port: number;
  certFile?: string;
  keyFile?: string;
  /** Go's names; empty: TLS 1.2 and its strong suites. */
  tlsMinVersion?: string | undefined;
  tlsCipherSuites?: readonly string[] | undefined;
  /** Absent: everybody may read everything. */
  auth?: DelegatedAuthOptions;
  /** What /configz shows. */
  configz?: () => object;
  /** Further paths; answers whether it served the request. */
  handler?(req: IncomingMessage, res: ServerResponse): Promise<boolean>;
}

export interface Serving {
  readonly server: Server;
  readonly port: number;
  close(): Promise<void>;
}

/** Serves until closed. Without certificate files it makes a self-signed certificate in memory. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const bindAddress = options.bindAddress || '0.0.0.0';
  const authorize = options.auth ? createDelegatedAuth(options.auth) : undefined;
  const server = createServer({
    ...servingCertificate(options, bindAddress),
    ...(authorize ? { requestCert: true, rejectUnauthorized: false } : {}),
    ...tlsSettings(options.tlsMinVersion, options.tlsCipherSuites),
  });
  const { certFile, keyFile } = options;
  const renew = () => server.setSecureContext(servingCertificate(options, bindAddress));
  const unwatch = certFile && keyFile ? onRenewal([certFile, keyFile], renew) : () => undefined;
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    if (authorize) {
      const { status, message } = await authorize(req);
      if (status !== 200) return plain(res, status, `${message}\n`);
    }
    if (await serveHealth(options, req, res)) return;
    if (options.configz && req.url?.split('?')[0] === '/configz') {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(options.configz()));
      return;
    }
    if (await options.handler?.(req, res)) return;
    plain(res, 404, '404 page not found\n');
  };
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    answer(req, res).catch((error: Error) => plain(res, 500, `${error.message}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
      reject(new Error(`cannot listen on ${bindAddress}:${options.port}: ${why}`));
    });
    server.listen(options.port, bindAddress, resolve);
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        unwatch();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function servingCertificate({ certFile, keyFile }: ServingOptions, bindAddress: string) {
  if (certFile && keyFile) return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  if (certFile || keyFile) throw new Error('--tls-cert-file and --tls-private-key-file are only of use together');
  const wildcard = bindAddress === '0.0.0.0' || bindAddress === '::';
  const hosts = [...new Set(['localhost', '127.0.0.1', hostname(), ...(wildcard ? [] : [bindAddress])])];
  return selfSignedCertificate(`${hostname()}@${Math.floor(Date.now() / 1000)}`, hosts);
}

function plain(res: ServerResponse, status: number, body: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  res.end(body);
}
