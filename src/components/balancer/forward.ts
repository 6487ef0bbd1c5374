/** Carries TCP connections from a port of loopback to an API server; what is in them passes untouched. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { splitServer } from './members.ts';

const dialMs = 1_000;
/** Of the last server there is; better late than not at all. */
const lastDialMs = 5_000;
const keepAliveMs = 15_000;

export interface Ways {
  /** In which order servers are tried, at this moment. */
  servers(): string[];
  /** A connection to it could not be made. */
  failed(server: string): void;
  /** A client's connection could not be taken: too many open files. */
  refused(error: Error): void;
}

export class Forwarder {
  readonly #ways: Ways;
  readonly #listener: Server;
  /** Server → connections through it: how to end one, and its socket. */
  readonly #carried = new Map<string, Map<() => void, Socket>>();
  /** Server → bytes that have come through connections that have ended. */
  readonly #received = new Map<string, number>();

  constructor(ways: Ways) {
    this.#ways = ways;
    this.#listener = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
      void this.#carry(client);
    });
  }

  /** @throws Error when the port is taken */
  async listen(host: string, port: number): Promise<void> {
    this.#listener.listen({ host, port });
    await once(this.#listener, 'listening');
    this.#listener.on('error', (error) => this.#ways.refused(error));
  }

  carries(server: string): number {
    return this.#carried.get(server)?.size ?? 0;
  }

  /** Bytes that have come from a server, over all time. */
  received(server: string): number {
    let sum = this.#received.get(server) ?? 0;
    for (const socket of this.#carried.get(server)?.values() ?? []) sum += socket.bytesRead;
    return sum;
  }

  /** The servers that connections go through. */
  used(): string[] {
    return [...this.#carried.keys()];
  }

  /** Ends the connections through a server, so that clients notice now and not at their next timeout. */
  cut(server: string): void {
    for (const end of [...(this.#carried.get(server)?.keys() ?? [])]) end();
  }

  close(): void {
    this.#listener.close();
    for (const server of this.used()) this.cut(server);
  }

  async #carry(client: Socket): Promise<void> {
    // A client that goes away while servers are tried.
    let gone = false;
    client.on('error', () => client.destroy());
    client.once('close', () => {
      gone = true;
    });
    const tried = new Set<string>();
    for (;;) {
      const left = this.#ways.servers().filter((server) => !tried.has(server));
      const [server] = left;
      if (server === undefined) {
        client.resetAndDestroy();
        return;
      }
      tried.add(server);
      const upstream = await dial(server, left.length > 1 ? dialMs : lastDialMs);
      if (gone) {
        upstream?.destroy();
        return;
      }
      if (upstream) {
        this.#join(client, upstream, server);
        return;
      }
      this.#ways.failed(server);
    }
  }

  #join(client: Socket, upstream: Socket, server: string): void {
    const end = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    const through = this.#carried.get(server) ?? new Map<() => void, Socket>();
    this.#carried.set(server, through.set(end, upstream));
    upstream.once('close', () => {
      through.delete(end);
      this.#received.set(server, (this.#received.get(server) ?? 0) + upstream.bytesRead);
      if (through.size === 0 && this.#carried.get(server) === through) this.#carried.delete(server);
    });
    // An error ends both at once; an orderly end lets what is on its way arrive.
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.resetAndDestroy());
      one.once('close', () => other.destroySoon());
      one.setKeepAlive(true, keepAliveMs);
      one.pipe(other);
    }
  }
}

/** A connection, or undefined when there is none in time. */
function dial(server: string, timeoutMs: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ ...splitServer(server), allowHalfOpen: true, noDelay: true });
    const fail = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(undefined);
    };
    const timer = setTimeout(fail, timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
