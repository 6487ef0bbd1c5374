/** HTTP requests to an API server: one keep-alive agent per set of credentials, deadlines, streams for watches. */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { Credentials, type TlsMaterial } from './credentials.ts';
import type { RestConfig } from './types.ts';

export interface TransportRequest {
  method: string;
  /** With query. */
  path: string;
  body?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Until the answer's headers have come. */
  timeoutMs: number;
}

const connectMs = 5_000;

export class Transport {
  readonly #config: RestConfig;
  readonly #credentials: Credentials;
  readonly #server: URL;
  #agent: HttpAgent | HttpsAgent | undefined;
  /** What the agent was made with. */
  #material: TlsMaterial = {};

  /** How long a question that nobody answers is asked again. */
  readonly patienceMs: number;

  constructor(config: RestConfig, patienceMs = 0) {
    this.patienceMs = patienceMs;
    this.#config = config;
    this.#credentials = new Credentials(config);
    this.#server = new URL(config.server);
  }

  /** Sends a request and answers the response as a stream, whatever its status. */
  send({ method, path, body, headers, signal, timeoutMs }: TransportRequest): Promise<IncomingMessage> {
    const secure = this.#server.protocol === 'https:';
    const token = this.#credentials.token();
    const base = this.#server.pathname === '/' ? '' : this.#server.pathname.replace(/\/$/, '');
    return new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(
        {
          host: this.#server.hostname.replace(/^\[|\]$/g, ''),
          port: this.#server.port || (secure ? 443 : 80),
          method,
          path: base + path,
          agent: this.#currentAgent(secure),
          ...(signal ? { signal } : {}),
          headers: {
            accept: 'application/json',
            'user-agent': this.#config.userAgent ?? 'kinit',
            ...(token ? { authorization: `Bearer ${token}` } : {}),
            ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
            ...headers,
          },
        },
        (response) => {
          clearTimeout(timer);
          resolve(response);
        },
      );
      const timer = setTimeout(() => {
        request.destroy(new Error(`no answer from ${this.#server.host} in ${timeoutMs} ms (${method} ${path})`));
      }, timeoutMs);
      request.once('socket', (socket) => limitConnecting(request, socket, `${this.#server.host} (${method} ${path})`));
      request.on('error', (error) => {
        clearTimeout(timer);
        // Node's words for a server that went away while it was asked.
        if (error.message === 'socket hang up')
          error.message = `${this.#server.host} cut the connection (${method} ${path})`;
        reject(error);
      });
      request.end(body);
    });
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  /** New credentials need new connections: the agent is made anew when the material has changed. */
  #currentAgent(secure: boolean): HttpAgent | HttpsAgent {
    const options = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 8 };
    if (!secure) {
      this.#agent ??= new HttpAgent(options);
      return this.#agent;
    }
    const material = this.#credentials.tls();
    const { ca, cert, key } = this.#material;
    if (this.#agent && material.ca === ca && material.cert === cert && material.key === key) return this.#agent;
    this.#agent?.destroy();
    this.#material = material;
    this.#agent = new HttpsAgent({
      ...options,
      ...material,
      maxCachedSessions: 0,
      rejectUnauthorized: !this.#config.insecureSkipTlsVerify,
      ...expectedName(this.#config.tlsServerName),
    });
    return this.#agent;
  }
}

/** What the certificate has to be valid for instead of the server's host. An address is no name that TLS could ask for. */
function expectedName(name: string | undefined): ConnectionOptions {
  if (!name) return {};
  if (!isIP(name)) return { servername: name };
  return { servername: '', checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate) };
}

/** A connection that is not there soon (a service address before its rules are) is better tried again. */
function limitConnecting(request: ClientRequest, socket: Socket, what: string): void {
  if (!socket.connecting) return;
  const timer = setTimeout(() => request.destroy(new Error(`no connection to ${what} in ${connectMs} ms`)), connectMs);
  socket.once('connect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
}

/** The whole body as text. */
export async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
