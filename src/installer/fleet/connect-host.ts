/** The way to one host of an inventory: over SSH, or none at all for this machine. */
import type { InventoryHost } from '../inventory/types.ts';
import { type Connection, connectionOver } from './connection.ts';
import { localTransport } from './local.ts';
import { sshTransport } from './ssh/connect.ts';

export async function connectHost(
  host: InventoryHost,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Connection> {
  const local = host.connection === 'local';
  const transport = local ? localTransport(host.name) : await sshTransport(host, signal, env);
  const user = local && process.getuid?.() === 0 ? 'root' : host.user;
  return connectionOver(transport, { host: host.name, user, sudo: host.sudo, local }, env);
}
