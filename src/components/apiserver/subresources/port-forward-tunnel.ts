/** Port-forward over WebSocket (`SPDY/3.1+portforward.k8s.io`): binary messages carry the bytes of a SPDY connection to the kubelet. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';
export const portForwardProtocol = 'portforward.k8s.io';

const normalClosure = 1000;

/** Joins the two until either ends. */
export function tunnel(client: WebSocket, kubelet: Duplex, head: Buffer): Promise<void> {
  const send = (chunk: Buffer) => {
    kubelet.pause();
    client.send(chunk, { binary: true }, () => kubelet.resume());
  };
  if (head.length) send(head);
  kubelet.on('data', send);
  client.on('message', (data: Buffer) => {
    if (kubelet.write(data)) return;
    client.pause();
    kubelet.once('drain', () => client.resume());
  });
  return new Promise((resolve) => {
    const end = () => {
      kubelet.destroy();
      client.close(normalClosure);
      resolve();
    };
    kubelet.once('end', end);
    kubelet.once('error', end);
    kubelet.once('close', end);
    client.once('close', end);
    client.once('error', end);
  });
}
