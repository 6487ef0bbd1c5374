/** WebSocket handshakes on the server side; the library is loaded when the first one comes. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';

/** Carries the choice to the answer; no client's header of this name is read. */
const chosenHeader = 'x-chosen-subprotocol';

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
  server ??= import('ws').then(({ WebSocketServer: Server }) => {
    const made = new Server({ noServer: true, clientTracking: false, perMessageDeflate: false });
    made.on('headers', (headers, { headers: { [chosenHeader]: chosen } }) => {
      headers.push(`Sec-WebSocket-Protocol: ${chosen}`);
    });
    return made;
  });
  const listener = await server;
  // The library refuses names with a slash (`SPDY/3.1+portforward.k8s.io`), so it never sees them.
  delete req.headers['sec-websocket-protocol'];
  req.headers[chosenHeader] = protocol;
  return new Promise((resolve) => listener.handleUpgrade(req, socket, head, resolve));
}
