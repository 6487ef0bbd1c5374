/** SSH connections: host key checked, several ways to log in, keepalive, bastions. */

import type { Duplex } from 'node:stream';
import ssh2, { type AuthHandlerMiddleware, type ServerHostKeyAlgorithm } from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { InventoryHost, SshTarget } from '../../inventory/types.ts';
import type { Transport } from '../connection.ts';
import { connectError, type LoginAttempts } from './connect-errors.ts';
import {
  allowHostCertificates,
  expectHostCertificates,
  hostCertificateTypes,
  useCertifiedKey,
} from './host-certificates.ts';
import { type HostKeyCheck, hostKeyCheck } from './host-keys.ts';
import { type LoginWay, loginsFor } from './login.ts';
import { allowOfferedKeys } from './offered-keys.ts';
import { type ProxyConnection, proxyConnection, proxyError } from './proxy-command.ts';
import { type Hop, transportOver } from './transport.ts';

const defaultConnectTimeoutMs = 15_000;
const defaultAliveIntervalMs = 5000;
const defaultAliveCount = 4;

export async function sshTransport(
  host: InventoryHost,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Transport> {
  return transportOver(await openThrough(host, host.name, host.name, signal, env), host.name);
}

/** The connection, and then those that it goes through, the nearest to the target first. */
async function openThrough(
  target: SshTarget,
  label: string,
  hostName: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
): Promise<Hop[]> {
  const { bastion, proxyCommand } = target;
  if (proxyCommand) return [await openByProxy(target, proxyCommand, label, signal, env)];
  if (!bastion) return [await openHop(target, label, signal, env)];
  const way = await openThrough(bastion, `${hostName} (bastion ${bastion.address})`, hostName, signal, env);
  try {
    const tunnel = await tunnelTo(way[0]!, target, hostName);
    return [await openHop(target, label, signal, env, tunnel), ...way];
  } catch (error) {
    for (const hop of way) hop.end();
    throw error;
  }
}

async function openByProxy(
  target: SshTarget,
  command: string,
  label: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
): Promise<Hop> {
  const proxy: ProxyConnection = proxyConnection(command, env);
  try {
    const { client, end } = await openHop(target, label, signal, env, proxy.stream);
    // The program has to take what ends the connection before it goes itself.
    client.once('close', () => proxy.end());
    return { client, end };
  } catch (error) {
    const seen = await proxy.seen();
    proxy.end();
    throw error instanceof KinitError ? proxyError(error, seen) : error;
  }
}

function tunnelTo({ client }: Hop, { address, port }: SshTarget, hostName: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, address, port, (error, channel) => {
      if (!error) return resolve(channel);
      reject(
        new KinitError('Connection', `the bastion cannot reach ${address}:${port}: ${error.message}`, {
          host: hostName,
          advice: 'check that the host is on and that the bastion may forward connections to it',
        }),
      );
    });
  });
}

async function openHop(
  target: SshTarget,
  hostName: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
  sock?: Duplex,
): Promise<Hop> {
  const { connectTimeoutMs = defaultConnectTimeoutMs } = target;
  const { ways, notes } = await loginsFor(target, hostName, env);
  const check = await hostKeyCheck(target, hostName);
  signal.throwIfAborted();
  const closed = () =>
    new KinitError('Connection', `${target.address}:${target.port} closed the connection before the login`, {
      host: hostName,
    });
  if (sock?.destroyed) throw closed();
  const client = new ssh2.Client();
  const attempts: LoginAttempts = { tried: [], notes };
  await new Promise<void>((resolve, reject) => {
    const abort = () => fail(signal.reason as Error);
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      client.destroy();
      reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    client.once('ready', () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    client.on('error', (error: Error & { level?: string; code?: string }) => {
      // A key that does not sign is passed over, as ssh does.
      if (error.level === 'agent') attempts.notes.push(error.message);
      else fail(check.problem() ?? connectError(error, target, hostName, attempts, connectTimeoutMs));
    });
    client.once('close', () => fail(closed()));
    if (check.wantsCertificate) allowHostCertificates();
    client.connect({
      host: target.address,
      port: target.port,
      username: target.user,
      readyTimeout: connectTimeoutMs,
      keepaliveInterval: target.aliveIntervalMs ?? defaultAliveIntervalMs,
      keepaliveCountMax: target.aliveCount ?? defaultAliveCount,
      hostVerifier: (key: Buffer) => {
        if (!check.verify(key)) return false;
        useCertifiedKey(client, key);
        return true;
      },
      algorithms: { serverHostKey: hostKeyTypesFor(check) },
      ...(sock ? { sock } : {}),
      authHandler: inTurn(ways, attempts.tried, check),
    });
    allowOfferedKeys(client);
    if (check.wantsCertificate) expectHostCertificates(client);
  });
  client.removeAllListeners('close');
  client.removeAllListeners('error');
  // A later error closes the client; whoever waits for a command learns it from its channel.
  client.on('error', () => undefined);
  await check.remember();
  return { client, end: () => client.end() };
}

const hostKeyTypes: ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
];

/** Known types first: a host that also has a key of another type is not taken for an unknown one. */
const hostKeyTypesFor = ({ types, wantsCertificate }: HostKeyCheck): ServerHostKeyAlgorithm[] => [
  ...(wantsCertificate ? hostCertificateTypes : []),
  ...hostKeyTypes.filter((type) => types.includes(type)),
  ...hostKeyTypes.filter((type) => !types.includes(type)),
];

/** Tries one way after the other, those the server takes. */
function inTurn(ways: readonly LoginWay[], tried: string[], check: HostKeyCheck): AuthHandlerMiddleware {
  const left = [...ways];
  return (allowed: string[] | null, _partial, next) => {
    for (let way = left.shift(); way; way = left.shift()) {
      const { label, method } = way;
      const kind = method.type === 'agent' ? 'publickey' : method.type;
      if (allowed && !allowed.includes(kind)) continue;
      // Whoever took the host's place would learn it.
      if (kind !== 'publickey' && check.doubtful()) continue;
      tried.push(label);
      next(method);
      return;
    }
    // Documented, but missing from the types: nothing is left to try.
    (next as unknown as (none: false) => void)(false);
  };
}
