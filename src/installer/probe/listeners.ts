/** Listens on ports for a short while and answers with the nonce, so that other hosts can see that they get through. */
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import type { Port } from './types.ts';

export interface Listeners {
  listening: Port[];
  occupied: Port[];
  close(): void;
}

/** Errors that say "no IPv6 on this host". */
const noIpv6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'];
const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? '';

function listenTcp(port: number, nonce: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      // The other side may be gone already; its own probe tells.
      socket.on('error', () => socket.destroy());
      socket.setTimeout(5000, () => socket.destroy());
      socket.end(nonce);
    });
    server.once('error', reject);
    // Without a host Node takes both families, or IPv4 where there is no IPv6.
    server.listen({ port }, () => resolve(server));
  });
}

function bindUdp(type: 'udp4' | 'udp6', port: number, nonce: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type });
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.on('message', (message, { address, port: from }) => {
      if (message.equals(Buffer.from(nonce))) socket.send(nonce, from, address, () => undefined);
    });
    socket.bind(port, () => resolve(socket));
  });
}

async function listenUdp(port: number, nonce: string): Promise<Socket> {
  try {
    return await bindUdp('udp6', port, nonce);
  } catch (error) {
    if (!noIpv6.includes(codeOf(error))) throw error;
    return bindUdp('udp4', port, nonce);
  }
}

/** Listens on those of the ports that are free. */
export async function listen(ports: readonly Port[], nonce: string): Promise<Listeners> {
  const open: (Server | Socket)[] = [];
  const listening: Port[] = [];
  const occupied: Port[] = [];
  await Promise.all(
    ports.map(async (port) => {
      try {
        open.push(port.protocol === 'tcp' ? await listenTcp(port.port, nonce) : await listenUdp(port.port, nonce));
        listening.push(port);
      } catch (error) {
        if (codeOf(error) !== 'EADDRINUSE') throw error;
        occupied.push(port);
      }
    }),
  );
  return { listening, occupied, close: () => open.forEach((one) => void one.close()) };
}
