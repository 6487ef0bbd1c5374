/** A port of this machine that leads to a cluster's API server, through SSH and the bastions on the way. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KinitError } from '../errors.ts';
import type { InventorySource } from '../fleet/on-control-plane.ts';
import type { Kubeconfig } from '../kubeconfig/kubeconfig.ts';
import { type ApiConnection, connectApi } from './api-server.ts';

export interface Tunnel {
  /** `https://127.0.0.1:<port>` */
  server: string;
  /** The administrator's, made to go through the tunnel. */
  kubeconfig: Kubeconfig;
  /** The control plane at the other end. */
  host: string;
  close(): Promise<void>;
}

export interface TunnelOptions {
  source: InventorySource;
  signal: AbortSignal;
  /** 0: any free one. */
  port?: number;
  /** Told when the way was lost and when there is another. */
  notice(message: string): void;
}

/** @throws KinitError when no control plane can be reached, or the port is taken */
export async function openTunnel({ source, signal, port = 0, notice }: TunnelOptions): Promise<Tunnel> {
  let current = await connectApi(source, signal);
  const { api } = current;
  let renewing: Promise<ApiConnection> | undefined;
  const forward = async (): Promise<Duplex> => {
    const used = current;
    try {
      return await used.connection.forward(used.api.address, used.api.port);
    } catch (error) {
      if (signal.aborted) throw error;
      // One new connection for all that wait.
      if (current === used) {
        renewing ??= renew(error as Error).finally(() => {
          renewing = undefined;
        });
        await renewing;
      }
      return current.connection.forward(current.api.address, current.api.port);
    }
  };
  const renew = async (why: Error): Promise<ApiConnection> => {
    notice(`${current.host.name}: ${why.message}; connecting again`);
    current.connection.close();
    current = await connectApi(source, signal);
    notice(`connected to ${current.host.name}`);
    return current;
  };
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    forward().then(
      (channel) => {
        channel.on('error', () => socket.destroy());
        channel.on('close', () => socket.destroy());
        socket.on('close', () => channel.destroy());
        socket.pipe(channel).pipe(socket);
      },
      (error: Error) => {
        notice(error.message);
        socket.destroy();
      },
    );
  });
  try {
    listener.listen(port, '127.0.0.1');
    await once(listener, 'listening');
  } catch (cause) {
    current.connection.close();
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw new KinitError('Usage', `cannot listen on 127.0.0.1:${port}: ${code}`, {
      advice: 'give another --port, or none',
      cause,
    });
  }
  const taken = listener.address();
  const server = `https://127.0.0.1:${typeof taken === 'object' && taken ? taken.port : port}`;
  return {
    server,
    kubeconfig: through(api.kubeconfig, server),
    host: current.host.name,
    async close() {
      listener.close();
      for (const socket of sockets) socket.destroy();
      current.connection.close();
      await once(listener, 'close');
    },
  };
}

/** The certificate is checked for the name that the kubeconfig has had. */
function through(kubeconfig: Kubeconfig, server: string): Kubeconfig {
  return {
    ...kubeconfig,
    clusters: kubeconfig.clusters.map(({ name, cluster }) => ({
      name,
      cluster: {
        ...cluster,
        server,
        'tls-server-name': cluster['tls-server-name'] ?? new URL(cluster.server).hostname.replace(/^\[|\]$/g, ''),
      },
    })),
  };
}
