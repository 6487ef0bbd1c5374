/** SSH connections: host key checked, several ways to log in, keepalive, bastions. */

import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ssh2, {
  type AnyAuthMethod,
  type AuthHandlerMiddleware,
  type Client,
  type ClientChannel,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { InventoryHost, SshTarget } from '../../inventory/types.ts';
import type { ExecOptions, ExecResult, Transport } from '../connection.ts';
import { hostKeyCheck } from './host-keys.ts';
import { authMethods } from './login.ts';

const connectTimeoutMs = 15_000;

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
): Promise<Client[]> {
  const { bastion } = target;
  if (!bastion) return [await openClient(target, label, signal, env)];
  const way = await openThrough(bastion, `${hostName} (bastion ${bastion.address})`, hostName, signal, env);
  try {
    const tunnel = await tunnelTo(way[0]!, target, hostName);
    return [await openClient(target, label, signal, env, tunnel), ...way];
  } catch (error) {
    for (const client of way) client.end();
    throw error;
  }
}

function tunnelTo(bastion: Client, { address, port }: SshTarget, hostName: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    bastion.forwardOut('127.0.0.1', 0, address, port, (error, channel) => {
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

async function openClient(
  target: SshTarget,
  hostName: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
  sock?: Readable,
): Promise<Client> {
  const methods = await authMethods(target, hostName, env);
  const check = await hostKeyCheck(target, hostName);
  signal.throwIfAborted();
  const client = new ssh2.Client();
  const tried: string[] = [];
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
    client.on('error', (error: Error & { level?: string; code?: string }) =>
      fail(check.problem() ?? explain(error, target, hostName, tried)),
    );
    client.once('close', () =>
      fail(
        new KinitError('Connection', `${target.address}:${target.port} closed the connection before the login`, {
          host: hostName,
        }),
      ),
    );
    client.connect({
      host: target.address,
      port: target.port,
      username: target.user,
      readyTimeout: connectTimeoutMs,
      keepaliveInterval: 5000,
      keepaliveCountMax: 4,
      hostVerifier: (key: Buffer) => check.verify(key),
      algorithms: { serverHostKey: preferred(check.types) },
      ...(sock ? { sock } : {}),
      authHandler: inTurn(methods, tried),
    });
  });
  client.removeAllListeners('close');
  client.removeAllListeners('error');
  // A later error closes the client; whoever waits for a command learns it from its channel.
  client.on('error', () => undefined);
  await check.remember();
  return client;
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
const preferred = (types: string[]): ServerHostKeyAlgorithm[] => [
  ...hostKeyTypes.filter((type) => types.includes(type)),
  ...hostKeyTypes.filter((type) => !types.includes(type)),
];

/** Tries one method after the other, those the server takes. */
function inTurn(methods: AnyAuthMethod[], tried: string[]): AuthHandlerMiddleware {
  const left = [...methods];
  return (allowed: string[] | null, _partial, next) => {
    for (let method = left.shift(); method; method = left.shift()) {
      const kind = method.type === 'agent' ? 'publickey' : method.type;
      if (allowed && !allowed.includes(kind)) continue;
      tried.push(method.type === 'publickey' ? 'key' : method.type);
      next(method);
      return;
    }
    // Documented, but missing from the types: nothing is left to try.
    (next as unknown as (none: false) => void)(false);
  };
}

function explain(
  error: Error & { level?: string; code?: string },
  { address, port, user }: SshTarget,
  host: string,
  tried: string[],
): KinitError {
  const where = `${address}:${port}`;
  if (error.level === 'client-authentication') {
    return new KinitError('Authentication', `${where} refuses the login as ${user}`, {
      host,
      seen: `tried ${tried.length ? [...new Set(tried)].join(', ') : 'nothing: the server takes none of the given ways'}`,
      advice: 'check user, identityFile and passwordFromEnv in the inventory, and authorized_keys on the host',
    });
  }
  const reasons: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there (connection refused)',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'the network cannot be reached',
    ETIMEDOUT: 'no answer',
    ENOTFOUND: 'the name does not resolve',
    EAI_AGAIN: 'the name does not resolve',
    ECONNRESET: 'the connection was reset',
  };
  const timeout = error.level === 'client-timeout' || /timed out/i.test(error.message);
  const why = timeout ? `no answer within ${connectTimeoutMs / 1000} s` : (reasons[error.code ?? ''] ?? error.message);
  return new KinitError('Connection', `cannot reach ${where}: ${why}`, {
    host,
    advice: 'check address and port in the inventory, and that the machine is on and runs an SSH server',
    cause: error,
  });
}

/** @param clients the connection, and those that it goes through */
function transportOver(clients: Client[], hostName: string): Transport {
  const client = clients[0]!;
  let closed = false;
  client.once('close', () => {
    closed = true;
  });
  const lost = () => new KinitError('Connection', 'the connection was lost', { host: hostName });
  return {
    close() {
      closed = true;
      for (const each of clients) each.end();
    },
    exec(command, options = {}) {
      if (closed) return Promise.reject(lost());
      return new Promise<ExecResult>((resolve, reject) => {
        client.exec(command, (error, channel) => {
          if (error) reject(closed ? lost() : new KinitError('Connection', error.message, { host: hostName }));
          else runOn(channel, client, command, options, hostName, lost).then(resolve, reject);
        });
      });
    },
  };
}

async function runOn(
  channel: ClientChannel,
  client: Client,
  command: string,
  { stdin, onStdout, signal, timeoutMs = 60_000 }: ExecOptions,
  host: string,
  lost: () => KinitError,
): Promise<ExecResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  channel.on('data', (chunk: Buffer) => (onStdout ? onStdout(chunk) : stdout.push(chunk)));
  channel.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const ended = new Promise<ExecResult>((resolve, reject) => {
    let code: number | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      client.removeListener('close', gone);
      settle();
    };
    const gone = () => finish(() => reject(lost()));
    const abort = () => {
      channel.close();
      finish(() => reject(signal?.reason as Error));
    };
    const timer = timeoutMs
      ? setTimeout(() => {
          channel.close();
          finish(() =>
            reject(
              new KinitError('Timeout', `a command did not end within ${timeoutMs / 1000} s`, { host, seen: command }),
            ),
          );
        }, timeoutMs)
      : undefined;
    signal?.addEventListener('abort', abort, { once: true });
    client.once('close', gone);
    channel.on('exit', (exit: number | null) => {
      code = exit ?? 255;
    });
    channel.on('close', () =>
      finish(() => {
        // Without an exit code the connection broke off.
        if (code === undefined) reject(lost());
        else resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
      }),
    );
    if (signal?.aborted) abort();
  });
  if (stdin === undefined || typeof stdin === 'string' || Buffer.isBuffer(stdin)) channel.end(stdin ?? '');
  else {
    // A command that ends before it has read everything says why by its exit code.
    const fed = pipeline(stdin, channel as NodeJS.WritableStream).catch((error: NodeJS.ErrnoException) => error);
    const result = await ended.finally(() => stdin.destroy());
    await fed;
    return result;
  }
  return ended;
}
