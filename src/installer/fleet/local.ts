/** This machine as a host of an inventory (`connection: local`). */
import { once } from 'node:events';
import { connect } from 'node:net';
import { execa } from 'execa';
import { joinHostPort } from '../config/cidr.ts';
import { KinitError } from '../errors.ts';
import type { Transport } from './connection.ts';

export function localTransport(host: string): Transport {
  return {
    async exec(command, { stdin, onStdout, signal, timeoutMs = 60_000 } = {}) {
      const process = execa('/bin/sh', ['-c', command], {
        reject: false,
        timeout: timeoutMs,
        buffer: onStdout ? { stdout: false } : true,
        stripFinalNewline: false,
        ...(stdin === undefined
          ? { stdin: 'ignore' as const }
          : typeof stdin === 'string' || Buffer.isBuffer(stdin)
            ? { input: stdin }
            : { stdin }),
        ...(signal ? { cancelSignal: signal } : {}),
      });
      if (onStdout) process.stdout?.on('data', onStdout);
      const { exitCode, stdout, stderr, timedOut } = await process;
      signal?.throwIfAborted();
      if (timedOut) {
        throw new KinitError('Timeout', `a command did not end within ${timeoutMs / 1000} s`, { host, seen: command });
      }
      return { code: exitCode ?? 255, stdout: onStdout ? '' : String(stdout ?? ''), stderr: String(stderr ?? '') };
    },
    async forward(address, port) {
      const socket = connect(port, address);
      try {
        await once(socket, 'connect');
        return socket;
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
        throw new KinitError('Connection', `cannot reach ${joinHostPort(address, port)}: ${code}`, { host, cause });
      }
    },
    isOpen: () => true,
    close: () => undefined,
  };
}
