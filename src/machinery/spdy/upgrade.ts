/** The HTTP upgrade to SPDY/3.1 on both sides, with the sub-protocol negotiation of Kubernetes' `X-Stream-Protocol-Version`. */
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { SpdyConnection } from './connection.ts';

export const spdyProtocol = 'SPDY/3.1';
const versionHeader = 'x-stream-protocol-version';
const acceptedHeader = 'x-accepted-stream-protocol-versions';

/** True for `Connection: Upgrade` with `Upgrade: SPDY/3.1`. */
export function asksForSpdy(req: IncomingMessage): boolean {
  return (
    /\bupgrade\b/i.test(req.headers.connection ?? '') &&
    req.headers.upgrade?.toLowerCase() === spdyProtocol.toLowerCase()
  );
}

/** Sub-protocols that the client offers, best first; they may stand in several headers or in one, with commas. */
export function offeredProtocols(req: IncomingMessage): string[] {
  const offered: string[] = [];
  for (let at = 0; at < req.rawHeaders.length; at += 2)
    if (req.rawHeaders[at]?.toLowerCase() === versionHeader)
      offered.push(...(req.rawHeaders[at + 1] ?? '').split(',').map((text) => text.trim()));
  return offered.filter((protocol) => protocol !== '');
}

/**
 * Answers an upgrade request. `supported` is best first; of several that both know, the client's order counts.
 * Returns undefined when none fits: 403 with the accepted ones has been written then, as upstream does.
 */
export function acceptSpdy(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  supported: string[],
): { connection: SpdyConnection; protocol: string } | undefined {
  const offered = offeredProtocols(req);
  // Without an offer upstream falls back to the first, unversioned protocol.
  const protocol = offered.length === 0 ? '' : offered.find((name) => supported.includes(name));
  if (protocol === undefined) {
    const accepted = supported.map((name) => `${acceptedHeader}: ${name}\r\n`).join('');
    const body = `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server supports [${supported.join(' ')}]`;
    socket.end(
      `HTTP/1.1 403 Forbidden\r\n${accepted}Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    return undefined;
  }
  const chosen = protocol ? `X-Stream-Protocol-Version: ${protocol}\r\n` : '';
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${spdyProtocol}\r\n${chosen}\r\n`);
  return { connection: new SpdyConnection(socket, { role: 'server', head }), protocol };
}

export interface UpgradedSocket {
  socket: Duplex;
  head: Buffer;
  /** Response headers of the 101. */
  headers: IncomingMessage['headers'];
}

/** The server answered something else than 101. */
export class UpgradeRefused extends Error {
  readonly statusCode: number;
  readonly body: string;
  constructor(statusCode: number, body: string) {
    super(`unable to upgrade connection: ${body || `status ${statusCode}`}`);
    this.name = 'UpgradeRefused';
    this.statusCode = statusCode;
    this.body = body;
  }
}

/** Sends an upgrade request and returns the raw socket behind the 101. Throws UpgradeRefused for any other answer. */
export function requestUpgrade(
  url: URL,
  protocols: string[],
  options: RequestOptions & { method?: string; signal?: AbortSignal },
): Promise<UpgradedSocket> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const req = send(url, {
      method: 'POST',
      agent: false,
      ...options,
      headers: {
        ...options.headers,
        Connection: 'Upgrade',
        Upgrade: spdyProtocol,
        ...(protocols.length ? { 'X-Stream-Protocol-Version': protocols } : {}),
      },
    });
    req.once('upgrade', (res, socket, head) => resolve({ socket, head, headers: res.headers }));
    req.once('response', (res) => {
      let body = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        if (body.length < 65_536) body += chunk;
      });
      res.once('end', () => reject(new UpgradeRefused(res.statusCode ?? 0, body)));
      res.once('error', reject);
    });
    req.once('error', reject);
    req.end();
  });
}

/** requestUpgrade, with a client connection on top. `protocol` is the one that the server chose. */
export async function connectSpdy(
  url: URL,
  protocols: string[],
  options: RequestOptions & { method?: string; signal?: AbortSignal },
): Promise<{ connection: SpdyConnection; protocol: string }> {
  const { socket, head, headers } = await requestUpgrade(url, protocols, options);
  const chosen = headers[versionHeader];
  return {
    connection: new SpdyConnection(socket, { role: 'client', head }),
    protocol: (Array.isArray(chosen) ? chosen[0] : chosen) ?? '',
  };
}
