/** Servers on loopback that speak TLS and answer what the balancer asks an API server, and that can fall ill. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { makeKey, privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';

export interface Authority {
  caPem: string;
  certPem: string;
  keyPem: string;
}

/** A CA, and a certificate that it gave to API servers of loopback, or another one of the same CA for other names. */
export async function makeAuthority(): Promise<Authority & { issue(altNames: string[]): Authority }> {
  const valid = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const [caKey, key] = [await makeKey('ECDSA-P256'), await makeKey('ECDSA-P256')];
  const certificate = issueCertificate({ commonName: 'kubernetes', isCa: true, ...valid }, caKey);
  const altNames = ['kubernetes', ...[1, 2, 3, 4].map((i) => `127.0.0.${i}`)];
  const issue = (names: string[]): Authority => {
    const wanted = { commonName: 'kube-apiserver', altNames: names, usages: ['serverAuth' as const], ...valid };
    return {
      caPem: certificatePem(new X509Certificate(certificate.raw)),
      certPem: certificatePem(issueCertificate(wanted, key, { certificate, key: caKey })),
      keyPem: privateKeyPem(key),
    };
  };
  return { ...issue(altNames), issue };
}

/**
 * `silent`: takes connections and never answers, as a host that has lost its power or its network; `busy`: says nothing
 * of its health in time, but goes on with what it has.
 */
export type Condition = 'ready' | 'unready' | 'silent' | 'busy';

export class ApiServer {
  readonly name: string;
  condition: Condition = 'ready';
  /** Addresses that the EndpointSlice `default/kubernetes` names. */
  listed: string[] = [];
  readonly host: string;
  /** Objects by path. */
  readonly objects = new Map<string, object>();
  readonly #sockets = new Set<Socket>();
  readonly #watchers = new Set<ServerResponse>();
  readonly #server: Server;
  #version = 1;

  /** @param host an address of loopback */
  constructor(name: string, host: string, { certPem, keyPem }: Authority) {
    this.name = name;
    this.host = host;
    this.#server = createServer({ cert: certPem, key: keyPem }, (req, res) => this.#answer(req, res));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  async start(port = 0): Promise<this> {
    this.#server.listen(port, this.host);
    await once(this.#server, 'listening');
    return this;
  }

  /** As a process that is killed: connections are cut, and nobody listens any more. */
  async kill(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Tells those who watch. */
  list(...hosts: string[]): void {
    this.listed = hosts;
    this.#version += 1;
    for (const res of this.#watchers) this.#tell(res);
  }

  #tell(res: ServerResponse): void {
    res.write(`${JSON.stringify({ type: 'MODIFIED', object: this.#slice() })}\n`);
  }

  #slice(): object {
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', uid: 'u', resourceVersion: String(this.#version) },
      addressType: 'IPv4',
      endpoints: this.listed.map((host) => ({ addresses: [host], conditions: { ready: true } })),
      ports: [{ name: 'https', port: this.port }],
    };
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(req.url ?? '/', 'https://x');
    if (this.condition === 'silent' || (this.condition === 'busy' && url.pathname === '/readyz')) return;
    const object = this.objects.get(url.pathname);
    if (object) res.end(JSON.stringify(object));
    else if (url.pathname === '/readyz') res.writeHead(this.condition === 'ready' ? 200 : 500).end('ok');
    else if (url.pathname === '/echo') req.pipe(res);
    else if (url.pathname === '/hold') {
      res.write(this.name);
      const going = setInterval(() => this.condition !== 'silent' && res.write('.'), 100);
      res.once('close', () => clearInterval(going));
    } else if (url.pathname.endsWith('/endpointslices') && url.searchParams.get('watch')) {
      this.#watchers.add(res);
      res.once('close', () => this.#watchers.delete(res));
      res.writeHead(200).flushHeaders();
      if (url.searchParams.get('resourceVersion') !== String(this.#version)) this.#tell(res);
    } else if (url.pathname.endsWith('/endpointslices')) {
      const metadata = { resourceVersion: String(this.#version) };
      res.end(
        JSON.stringify({ kind: 'EndpointSliceList', metadata, items: this.listed.length ? [this.#slice()] : [] }),
      );
    } else res.end(this.name);
  }
}

/** Asks through the balancer as a client that checks certificates; each time over a connection of its own. */
export function ask(port: number, ca: string, path = '/', body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, ca, agent: false as const, method: body ? 'POST' : 'GET' };
    const sent = request({ ...options, timeout: 8_000 }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.once('end', () => resolve(Buffer.concat(chunks).toString()));
      res.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** A connection that stays: the server's name, and when it was cut. */
export function hold(port: number, ca: string): Promise<{ name: string; cut: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/hold', ca, agent: false }, (res) => {
      const cut = new Promise<void>((end) => {
        res.once('error', () => end());
        res.once('close', () => end());
      });
      res.once('data', (chunk: Buffer) => resolve({ name: chunk.toString(), cut }));
    });
    sent.once('error', reject);
    sent.end();
  });
}
