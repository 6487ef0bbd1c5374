/** WebSocket handshakes on the server side; the library is loaded when the first one comes. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';

let server: Promise<WebSocketServer> | undefined;

export const asksForWebSocket = (req: IncomingMessage): boolean =>
  /\bupgrade\b/i.test(req.headers.connection ?? '') && req.headers.upgrade?.toLowerCase() === 'websocket';

export const offeredSubprotocols = (req: IncomingMessage): string[] =>
  (req.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

/** Answers 101 with the given sub-protocol, which the client must have offered. */
export async function acceptWebSocket(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
): Promise<WebSocket> {
  server ??= import('ws').then(
    ({ WebSocketServer: Server }) =>
      new Server({
        noServer: true,
        clientTracking: false,
        perMessageDeflate: false,
        // The one wanted by the caller is the only one it lets through.
        handleProtocols: (offered, { headers }) => {
          const wanted = headers['x-kinit-subprotocol'];
          return typeof wanted === 'string' && offered.has(wanted) ? wanted : false;
        },
      }),
  );
  const listener = await server;
  req.headers['x-kinit-subprotocol'] = protocol;
  return new Promise((resolve) => listener.handleUpgrade(req, socket, head, resolve));
}
