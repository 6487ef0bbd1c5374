/** The way to one host of an inventory: over SSH, or none at all for this machine. */
import type { InventoryHost } from '../inventory/types.ts';
import { type Connection, connectionOver, counted, type Traffic } from './connection.ts';
import { type LastingConnection, lastingConnection } from './lasting-connection.ts';
import { localTransport } from './local.ts';
import { sshTransport } from './ssh/connect.ts';

export async function connectHost(
  host: InventoryHost,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
  /** Counts what goes over it. */
  traffic?: Traffic,
): Promise<Connection> {
  const local = host.connection === 'local';
  const transport = local ? localTransport(host.name) : await sshTransport(host, signal, env);
  const user = local && process.getuid?.() === 0 ? 'root' : host.user;
  const way = traffic ? counted(transport, traffic) : transport;
  return connectionOver(way, { host: host.name, user, sudo: host.sudo, local }, env);
}

export interface LastingWay {
  /** Ends the tries to get a lost connection back. */
  signal: AbortSignal;
  /** Told once for each loss. */
  lost(): void;
  env?: NodeJS.ProcessEnv | undefined;
  traffic?: Traffic;
}

/** A connection for work that takes longer than connections may last. */
export async function connectLasting(host: InventoryHost, way: LastingWay): Promise<LastingConnection> {
  const { signal, lost, env, traffic } = way;
  const connect = () => connectHost(host, signal, env, traffic);
  return lastingConnection(await connect(), { connect, lost, signal });
}
