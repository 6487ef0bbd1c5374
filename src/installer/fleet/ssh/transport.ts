/** What is done over an SSH connection: commands, and connections to where the host can reach. */
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel } from 'ssh2';
import { joinHostPort } from '../../config/cidr.ts';
import { KinitError } from '../../errors.ts';
import type { ExecOptions, ExecResult, Transport } from '../connection.ts';
import { connectionLost } from '../lasting-connection.ts';

/** One connection on the way to a host; the last one is the host's own. */
export interface Hop {
  client: Client;
  end(): void;
}

/** @param way the connection, and those that it goes through */
export function transportOver(way: Hop[], hostName: string): Transport {
  const { client } = way[0]!;
  let closed = false;
  client.once('close', () => {
    closed = true;
  });
  const lost = () => connectionLost(hostName);
  return {
    isOpen: () => !closed,
    close() {
      closed = true;
      for (const hop of way) hop.end();
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
    forward(address, port) {
      if (closed) return Promise.reject(lost());
      return new Promise((resolve, reject) => {
        client.forwardOut('127.0.0.1', 0, address, port, (error, channel) => {
          if (!error) return resolve(channel);
          if (closed) return reject(lost());
          reject(
            new KinitError(
              'Connection',
              `cannot reach ${joinHostPort(address, port)} from the host: ${error.message}`,
              {
                host: hostName,
                advice:
                  "check that something listens there, and AllowTcpForwarding and PermitOpen in the host's sshd_config",
              },
            ),
          );
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
