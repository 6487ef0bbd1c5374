/** `ProxyCommand`: a program whose standard input and output are the connection to a host. */
import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { KinitError } from '../../errors.ts';

export interface ProxyConnection {
  stream: Duplex;
  /** What the program has said on its standard error, and how it ended; waits a moment for that. */
  seen(): Promise<string>;
  end(): void;
}

const endTimeoutMs = 1000;

/** @param command for sh, its tokens replaced */
export function proxyConnection(command: string, env: NodeJS.ProcessEnv): ProxyConnection {
  // A group of its own: Ctrl-C is for kinit, which ends the program when it is done.
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: 'pipe', detached: true, env });
  let said = '';
  let ended = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-2000);
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  // It may end before anybody listens; whoever connects by it then finds it destroyed.
  stream.on('error', () => undefined);
  child.on('error', (error) => stream.destroy(error));
  child.on('exit', (code, signal) => {
    ended = `ProxyCommand ended with ${signal ?? `exit code ${code}`}`;
  });
  return {
    stream,
    async seen() {
      const moment = new AbortController();
      await Promise.race([closed, delay(endTimeoutMs, undefined, { signal: moment.signal, ref: false })]);
      moment.abort();
      return [said.trim(), ended].filter(Boolean).join('\n');
    },
    end() {
      stream.destroy();
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGTERM');
      } catch (error) {
        // It has ended in the meantime.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
  };
}

export function proxyError(error: KinitError, seen: string): KinitError {
  if (!seen || error.code !== 'Connection') return error;
  return new KinitError('Connection', error.message, {
    ...error.details,
    seen,
    advice: 'check ProxyCommand in ~/.ssh/config; run it by hand: it must show the banner of an SSH server',
  });
}
