/** The TLS listener: certificates that are taken up when they are renewed, client certificates that are asked for. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { hostname } from 'node:os';
import { onRenewal } from '../../../machinery/serving/renewed-files.ts';
import { selfSignedCertificate } from '../../../machinery/serving/self-signed.ts';
import { tlsSettings } from '../../../machinery/serving/tls.ts';
import type { Pipeline } from './pipeline.ts';

export interface HttpsOptions {
  bindAddress: string;
  port: number;
  certFile?: string | undefined;
  keyFile?: string | undefined;
  /** Authorities named in the handshake, so that clients with several certificates pick the right one. */
  clientCaFiles: string[];
  minVersion: string;
  ciphers: string[];
  /** Further names of the self-signed certificate that is made without files. */
  names: string[];
}

function certificate({ certFile, keyFile, names }: HttpsOptions): { cert: string | Buffer; key: string | Buffer } {
  if (certFile && keyFile) return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  if (certFile || keyFile) throw new Error('--tls-cert-file and --tls-private-key-file are only of use together');
  return selfSignedCertificate(`${hostname()}@${Math.floor(Date.now() / 1000)}`, ['localhost', '127.0.0.1', ...names]);
}

/** Resolves when the port is open. */
export async function listenHttps(options: HttpsOptions, pipeline: Pipeline): Promise<Server> {
  const context = () => ({
    ...certificate(options),
    ...(options.clientCaFiles.length ? { ca: options.clientCaFiles.map((file) => readFileSync(file)) } : {}),
  });
  const server = createServer({
    ...context(),
    requestCert: true,
    rejectUnauthorized: false,
    ...tlsSettings(options.minVersion, options.ciphers),
    keepAliveTimeout: 120_000,
    requestTimeout: 60_000,
    maxHeaderSize: 1024 * 1024,
  });
  const watched = [options.certFile, options.keyFile, ...options.clientCaFiles].filter((file) => file !== undefined);
  server.once(
    'close',
    onRenewal(watched, () => server.setSecureContext(context())),
  );
  server.on('request', pipeline.onRequest);
  server.on('upgrade', pipeline.onUpgrade);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
      reject(new Error(`cannot listen on ${options.bindAddress}:${options.port}: ${why}`));
    });
    server.listen(options.port, options.bindAddress, resolve);
  });
  return server;
}
